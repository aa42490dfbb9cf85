"""Errors that nobody thought of: those of one tenant's work, and those that end the worker."""

from __future__ import annotations

from typing import Final

from statemachine.commands import ConnectionClosed, EffectFailed
from statemachine.reactions import Reaction
from statemachine.state import StopReason
from streams.errors import DeliveryFailed, EngineStopped, LogCorrupt, OwnershipLost, RecoveryStalled, TopicsDiffer

INTERNAL_ERROR: Final = "InternalError"
"""Code of a stop that an error of the service led to."""

OF_THE_LOG: Final = (DeliveryFailed, EngineStopped, LogCorrupt, OwnershipLost, RecoveryStalled, TopicsDiffer)
"""Errors of the log and of who owns it: a worker that has one cannot go on for any of its tenants."""


def unforeseen(due: Reaction) -> EffectFailed | ConnectionClosed | None:
    """What is reported of a tenant whose work ended with an error that nobody thought of.

    It counts as a failure of its database, so that the connect limit bounds how often the same is tried. A tenant that
    was to be closed is closed, its connection being cut; one that was to rest has nothing to report.
    """
    message = f"{due.value} ended with an error of the service; see its log"
    match due:
        case Reaction.CLOSE:
            return ConnectionClosed(message)
        case Reaction.CHECK | Reaction.PROVISION | Reaction.HOLD:
            return EffectFailed(StopReason.DATABASE_UNAVAILABLE, INTERNAL_ERROR, message)
        case _:
            return None
