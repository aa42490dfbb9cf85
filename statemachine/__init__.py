"""The life of a tenant's connection, as pure functions over frozen records.

`decide` turns a command into an event, `fold` turns events into state, `reaction` and `deadlines` say what
the owner must do in a state. Nothing in this package knows a clock, randomness, IO or logging.
"""

from __future__ import annotations

from statemachine.answers import Answer, answer
from statemachine.decide import Terms, deadlines, decide
from statemachine.fold import fold
from statemachine.partition import PartitionState
from statemachine.reactions import Reaction, reaction
from statemachine.rejections import Rejection
from statemachine.state import TenantState
from statemachine.why import why

__all__ = [
    "Answer",
    "PartitionState",
    "Reaction",
    "Rejection",
    "TenantState",
    "Terms",
    "answer",
    "deadlines",
    "decide",
    "fold",
    "reaction",
    "why",
]
