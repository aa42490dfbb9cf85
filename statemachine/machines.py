"""The four machines of a tenant's connection: the definition of what may follow what.

A tenant's state is the tuple of the four machines' states. A trigger is the type of an event, so the
machines say which events are legal where, and what they lead to. A machine that does not name a trigger
is not touched by it; a machine that names it permits it only from the sources it lists.

========== ================================================== =========================================
machine    states                                             says
========== ================================================== =========================================
lifecycle  absent, checking, provisioning, ready, stopping    how far the connection is
database   down, up, recovering                               whether the tenant's database answers
replication off, starting, streaming, waiting                 whether rows are streamed
occupancy  unknown, used, idle                                whether anybody uses the tenant
========== ================================================== =========================================

The machines are `transitions.Machine` objects without a model. The hot path uses the table that
`statemachine.table` compiles from them; the diagrams in the documentation are drawn from them too.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from transitions import Machine


class Lifecycle(StrEnum):
    """How far the connection of a tenant is."""

    ABSENT = "absent"
    CHECKING = "checking"
    PROVISIONING = "provisioning"
    READY = "ready"
    STOPPING = "stopping"


class DatabaseHealth(StrEnum):
    """Whether the tenant's database answers."""

    DOWN = "down"
    UP = "up"
    RECOVERING = "recovering"


class Replication(StrEnum):
    """Whether rows of the tenant are streamed."""

    OFF = "off"
    STARTING = "starting"
    STREAMING = "streaming"
    WAITING = "waiting"


class Occupancy(StrEnum):
    """Whether anybody uses the tenant."""

    UNKNOWN = "unknown"
    USED = "used"
    IDLE = "idle"


LIVE: Final = (Lifecycle.CHECKING, Lifecycle.PROVISIONING, Lifecycle.READY)
"""The lifecycle states in which a connection is wanted and worked on."""


PARTITION_TRIGGERS: Final = ("partitions.failed", "partitions.restored")
"""A tenant's days are looked after while it is connected, and once more after it was."""


def _machine(name: str, states: type[StrEnum], initial: StrEnum, rows: list[dict[str, object]]) -> Machine:
    return Machine(
        model=None,
        name=name,
        states=[state.value for state in states],
        initial=initial.value,
        transitions=rows,
        auto_transitions=False,
    )


def _row(trigger: str, source: str | tuple[str, ...], dest: str, *guards: str) -> dict[str, object]:
    sources = [source] if isinstance(source, str) else [str(state) for state in source]
    return {"trigger": trigger, "source": sources, "dest": dest, "conditions": list(guards)}


LIFECYCLE: Final = _machine(
    "lifecycle",
    Lifecycle,
    Lifecycle.ABSENT,
    [
        _row("connect.requested", "absent", "checking", "not_paused", "not_limited"),
        _row("connect.checked", "checking", "provisioning"),
        _row("connect.provisioned", "provisioning", "ready"),
        _row("connect.stopping", (*LIVE, "stopping"), "stopping"),
        _row("connect.stopped", (*LIVE, "stopping"), "absent"),
        _row("connect.stopped", "absent", "absent", "expected"),
        _row("connect.paused", "absent", "absent"),
        _row("connect.paused", (*LIVE, "stopping"), "stopping"),
        _row("connect.resumed", "absent", "absent", "paused"),
        _row("connect.resumed", "stopping", "stopping", "paused"),
        _row("database.lost", "ready", "ready"),
        _row("database.restored", "ready", "ready"),
        _row("connect.retried", "ready", "ready"),
        _row("limit.reached", "absent", "absent", "not_limited"),
        _row("limit.cleared", "absent", "absent", "limited"),
        _row("migrations.finished", "absent", "absent"),
        _row("replication.started", "ready", "ready"),
        _row("replication.lost", "ready", "ready"),
        _row("replication.postponed", "ready", "ready"),
        _row("replication.gap", "ready", "ready"),
        _row("occupancy.used", "ready", "ready"),
        _row("occupancy.idle", "ready", "ready"),
        *(_row(trigger, state, state) for trigger in PARTITION_TRIGGERS for state in ("absent", "ready")),
    ],
)

DATABASE: Final = _machine(
    "database",
    DatabaseHealth,
    DatabaseHealth.DOWN,
    [
        _row("connect.provisioned", "down", "up"),
        _row("database.lost", ("up", "recovering"), "recovering"),
        _row("database.restored", "recovering", "up"),
        _row("connect.stopped", ("down", "up", "recovering"), "down"),
    ],
)

REPLICATION: Final = _machine(
    "replication",
    Replication,
    Replication.OFF,
    [
        _row("connect.provisioned", "off", "starting", "replicated"),
        _row("connect.provisioned", "off", "off", "not_replicated"),
        _row("replication.started", ("starting", "streaming", "waiting"), "streaming"),
        _row("replication.lost", "streaming", "waiting"),
        _row("replication.postponed", ("starting", "waiting"), "waiting"),
        *(_row("replication.gap", state, state) for state in ("starting", "streaming", "waiting")),
        _row("connect.stopped", ("off", "starting", "streaming", "waiting"), "off"),
    ],
)

OCCUPANCY: Final = _machine(
    "occupancy",
    Occupancy,
    Occupancy.UNKNOWN,
    [
        _row("occupancy.used", ("unknown", "used", "idle"), "used"),
        _row("occupancy.idle", ("unknown", "used"), "idle"),
        _row("connect.stopped", ("unknown", "used", "idle"), "unknown"),
    ],
)

STATES: Final[dict[str, type[StrEnum]]] = {
    "lifecycle": Lifecycle,
    "database": DatabaseHealth,
    "replication": Replication,
    "occupancy": Occupancy,
}
"""The states of each machine; a tenant's state holds them in this order, one after the other."""

MACHINES: Final[dict[str, Machine]] = {
    "lifecycle": LIFECYCLE,
    "database": DATABASE,
    "replication": REPLICATION,
    "occupancy": OCCUPANCY,
}
