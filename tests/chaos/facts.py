"""What a tenant's events say of it: the few facts that commands are about, by the words of the contract alone.

This is a second opinion on what the service folds and answers, so nothing of the service is used here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from tests.chaos.fold import Log, Told

LIVE: Final = frozenset({"checking", "provisioning", "ready"})
"""Where a connection is wanted and worked on."""


class Facts(NamedTuple):
    """A tenant after so many of its events.

    Attributes:
        sequence: how many.
        lifecycle: how far its connection is.
        database: whether its database answers.
        replication: whether its rows are streamed.
        occupancy: whether anybody uses it.
        reason: why it was stopped last; None while it is connected or was never stopped.
        reconnect: whether it is connected again once it has stopped.
        paused: whether an operator holds it.
        until: when that ends by itself.
        limited: whether connecting failed too often.
        streamed: whether its rows are to be streamed.
        migrations: how many its database has, None where that was never seen.
    """

    sequence: int = 0
    lifecycle: str = "absent"
    database: str = "down"
    replication: str = "off"
    occupancy: str = "unknown"
    reason: str | None = None
    reconnect: bool = False
    paused: bool = False
    until: datetime | None = None
    limited: bool = False
    streamed: bool = False
    migrations: int | None = None


def after(before: Facts, event: Told) -> Facts:
    """The facts after one event more."""
    changes = _stops(before, event) or _connects(before, event) or _ALWAYS.get(event.type, {})
    return before._replace(**changes, sequence=before.sequence + 1)


_ALWAYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "connect.resumed": {"paused": False, "until": None},
    "database.lost": {"database": "recovering"},
    "database.restored": {"database": "up"},
    "replication.started": {"replication": "streaming"},
    "replication.lost": {"replication": "waiting"},
    "replication.postponed": {"replication": "waiting"},
    "occupancy.used": {"occupancy": "used"},
    "occupancy.idle": {"occupancy": "idle"},
    "limit.reached": {"limited": True},
    "limit.cleared": {"limited": False},
}
"""Events that always change the same."""


def _connects(before: Facts, event: Told) -> dict[str, Any]:
    """What changes on the way to a connection."""
    match event.type:
        case "connect.requested":
            return {"lifecycle": "checking", "reason": None, "reconnect": False}
        case "connect.checked":
            streamed = event.data.get("replication", "off") != "off"
            return {
                "lifecycle": "provisioning",
                "streamed": streamed,
                "migrations": event.data["migrations_on_database"],
            }
        case "connect.provisioned":
            replication = "starting" if before.streamed else "off"
            migrations = (before.migrations or 0) + event.data["migrations_run"]
            return {"lifecycle": "ready", "database": "up", "replication": replication, "migrations": migrations}
        case "migrations.finished":
            return {"migrations": event.data["migrations_on_database"]}
    return {}


def _stops(before: Facts, event: Told) -> dict[str, Any]:
    """What changes on the way to no connection."""
    match event.type:
        case "connect.stopping":
            return {
                "lifecycle": "stopping",
                "reason": event.data["reason"],
                "reconnect": event.data.get("reconnect", False),
            }
        case "connect.stopped":
            reconnect = before.reconnect and before.lifecycle != "absent"
            gone = {"database": "down", "replication": "off", "occupancy": "unknown"}
            return {"lifecycle": "absent", "reason": event.data["reason"], "reconnect": reconnect, **gone}
        case "connect.paused":
            held = {} if before.lifecycle == "absent" else {"lifecycle": "stopping", "reason": "paused"}
            return {"paused": True, "until": moment(event.data.get("until")), "reconnect": False, **held}
    return {}


def moment(text: str | None) -> datetime | None:
    """A time as records have it."""
    return datetime.fromisoformat(text) if text else None


class Lives:
    """The facts of every tenant after each of its events that count.

    Args:
        log: the events.
    """

    def __init__(self, log: Log) -> None:
        self._of: defaultdict[str, list[Facts]] = defaultdict(lambda: [Facts()])
        for tenant, events in log.of.items():
            found = self._of[tenant]
            for event in events:
                found.append(after(found[-1], event))

    def at(self, tenant: str, sequence: int) -> Facts | None:
        """The facts after so many events, None where fewer count."""
        found = self._of[tenant]
        return found[sequence] if 0 <= sequence < len(found) else None

    def between(self, tenant: str, first: int, last: int) -> list[Facts]:
        """The facts after ``first`` events, and after each up to ``last``."""
        return self._of[tenant][first : last + 1]
