"""What the owner of a tenant must now be doing, derived from the state and stored nowhere.

After a crash the next owner derives the same and carries on.
"""

from __future__ import annotations

from enum import Enum

from statemachine.machines import Lifecycle, Replication
from statemachine.state import TenantState


class Reaction(Enum):
    """The work on the connection that a state calls for. At most one is due at a time.

    Attributes:
        CHECK: look whether the database answers and has room.
        PROVISION: hold a connection, run migrations, make partitions.
        HOLD: keep a connection, open it again where it broke.
        CLOSE: give every session up, then report it.
        RECONNECT: ask for a connection again.
        REST: hold nothing.
    """

    CHECK = "check"
    PROVISION = "provision"
    HOLD = "hold"
    CLOSE = "close"
    RECONNECT = "reconnect"
    REST = "rest"


_REACTIONS = {
    Lifecycle.CHECKING: Reaction.CHECK,
    Lifecycle.PROVISIONING: Reaction.PROVISION,
    Lifecycle.READY: Reaction.HOLD,
    Lifecycle.STOPPING: Reaction.CLOSE,
}


def reaction(state: TenantState) -> Reaction:
    """The work on the connection that is due in ``state``; its deadlines are `statemachine.deadlines.deadlines`."""
    if state.lifecycle is Lifecycle.ABSENT:
        wanted = state.reconnect and state.retry_at is None
        return Reaction.RECONNECT if wanted else Reaction.REST
    return _REACTIONS[state.lifecycle]


def streamed(state: TenantState) -> bool:
    """Whether rows are to be streamed beside: from ``state.next_attempt_at`` on, where it is set."""
    return state.lifecycle is Lifecycle.READY and state.replication is not Replication.OFF
