"""The life of a tenant's connection, as pure functions over frozen records.

`decide` turns a command into an event, `fold` turns events into state, `reaction` and `deadlines` say what
the owner must do in a state. Nothing in this package knows a clock, randomness, IO or logging.
"""

from __future__ import annotations

from statemachine.answers import Answer, answer
from statemachine.deadlines import deadlines
from statemachine.decide import decide
from statemachine.fold import fold
from statemachine.health import Health, health
from statemachine.partition import PartitionState
from statemachine.reactions import Reaction, reaction, streamed
from statemachine.rejections import Rejection
from statemachine.state import TenantState
from statemachine.terms import Terms
from statemachine.why import why

__all__ = [
    "Answer",
    "Health",
    "PartitionState",
    "Reaction",
    "Rejection",
    "TenantState",
    "Terms",
    "answer",
    "deadlines",
    "decide",
    "fold",
    "health",
    "reaction",
    "streamed",
    "why",
]
