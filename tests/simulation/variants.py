"""The protocol with one part taken out, for each part that holds it together: the simulation must notice every one.

A variant replaces methods of the real classes while a simulation runs, in every worker and every reader alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Final, NamedTuple
from unittest import mock

from statemachine.events import CommandPlace, Event
from statemachine.partition import Claim, PartitionState, Verdict
from statemachine.reactions import Reaction, reaction
from statemachine.state import TenantState
from streams.log import ends
from streams.log.ends import Ends
from streams.log.reader import Record
from streams.registry.partition import Flight, OwnedPartition
from streams.registry.registry import Registry
from streams.snapshots.snapshot import Snapshot, snapshot_of
from streams.wire.event import decode_event
from streams.worker.owner import PartitionOwner, _Work

Replacement = tuple[type | ModuleType, str, Callable[..., Any]]
"""Class or module, name of its method or function, and what takes its place."""


class Variant(NamedTuple):
    """A broken protocol.

    Attributes:
        replacements: what is replaced.
        symptoms: how it may show; a run that fails otherwise does not count as having caught it.
        kinds: faults that bring it out, all where none is given.
    """

    replacements: tuple[Replacement, ...]
    symptoms: tuple[str, ...]
    kinds: tuple[str, ...] = ()


_SEND: Final = OwnedPartition.send
_APPENDED: Final = PartitionOwner._appended


def _apply_any(state: PartitionState, event: Event) -> Verdict:
    state.apply(event)
    return Verdict.APPLIED


def _judge_own(partition: OwnedPartition, records: list[Record]) -> list[int]:
    """Whoever else wrote, and whatever they claimed."""
    decoded = [(record.offset, decode_event(record.value, "")) for record in records]
    return [offset for offset, event in decoded if isinstance(event, Event) and event.claim == partition.claim.offset]


def _send_and_believe(partition: OwnedPartition) -> Flight:
    """The flight has landed where it would land if nobody else wrote, before anybody says so."""
    first = partition.state.folded + 1
    sent = _SEND(partition)
    believed = Flight(sent.count, sent.acknowledged)
    believed.landed.set_result(range(first, first + sent.count))
    return believed


async def _end_of_nothing(_ends: Ends, _topic: str, _partition: int) -> int:
    return 0


def _any_end(offset: int) -> int:
    return offset


def _appended_and_acted_on(owner: PartitionOwner, state: TenantState, work: _Work) -> int:
    owner._office.effects.want(owner, state)
    return _APPENDED(owner, state, work)


async def _snapshot_at_once(partition: OwnedPartition) -> Snapshot:
    footing = partition._footing
    taken = snapshot_of(partition.state, footing.last)
    return taken._replace(folded=footing.folded, void=footing.void)


def _any_claim(_claim: Claim, _other: Claim) -> bool:
    return True


async def _own_at_once(registry: Registry, state: PartitionState, offset: int, _prove: Any) -> Claim:
    state.claim = Claim(offset, registry._worker, registry._generation or 0, 0)
    state.folded = offset
    registry._last[state.partition] = b""
    return state.claim


def _fold_nothing(_registry: Registry, _partition: int, _records: list[Record]) -> None:
    return


def _never_decided(_state: PartitionState, _offset: int, _origin: CommandPlace | None) -> bool:
    return False


def _decided_by_offset(state: PartitionState, offset: int, _origin: CommandPlace | None) -> bool:
    return offset <= state.command_offset


def _start_without_timers(owner: PartitionOwner) -> None:
    for state in list(owner.partition.state.tenants.values()):
        if reaction(state) is not Reaction.RECONNECT:
            owner._office.effects.want(owner, state)


_LOG_DIFFERS: Final = ("for readers and", "counts and cannot follow", "where", "ended with log_corrupt")
_STALE: Final = ("does not count at its position", "was deposed at step", "it knows", "it shows", "it names the event")

_DEPOSED: Final = ("silence", "throw out")
"""Faults that leave a worker at work that does not know that it is deposed."""

_UNHEARD: Final = ("deafen", "power cut", "freeze")
"""Faults that keep acknowledgements away, and then the worker."""

VARIANTS: Final[dict[str, Variant]] = {
    "fence switched off": Variant(
        ((PartitionState, "_event", _apply_any), (OwnedPartition, "_judge", _judge_own)),
        (*_LOG_DIFFERS, *_STALE),
    ),
    "reply before the acknowledgement": Variant(((OwnedPartition, "send", _send_and_believe),), _STALE),
    "effect before the acknowledgement": Variant(
        ((PartitionOwner, "_appended", _appended_and_acted_on),), ("no event says so",)
    ),
    "no generation in the claim": Variant(((Claim, "supersedes", _any_claim),), _LOG_DIFFERS),
    "deciding before recovery": Variant(
        ((Registry, "_settle_claim", _own_at_once), (Registry, "fold", _fold_nothing)),
        ("a state that is not the log's", "which does not count"),
    ),
    "forgetting command offsets": Variant(
        ((PartitionState, "is_decided", _never_decided),), ("was decided before", "follows the one at")
    ),
    "forgetting where commands come from": Variant(
        ((PartitionState, "is_decided", _decided_by_offset),), ("was decided before",)
    ),
    "timers from memory only": Variant(((PartitionOwner, "start", _start_without_timers),), ("is due at",)),
    "no gap is read back": Variant(((OwnedPartition, "_judge", _judge_own),), _STALE, (*_DEPOSED, "freeze")),
    "snapshots before the acknowledgement": Variant(
        ((OwnedPartition, "snapshot", _snapshot_at_once),), ("log_corrupt", "a state that is not the log's"), _UNHEARD
    ),
    "no read index": Variant(((Ends, "end", _end_of_nothing),), _STALE, _DEPOSED),
    "silence taken for an end": Variant(((ends, "_known", _any_end),), _STALE, ("silence", "unasked")),
}
"""What is taken out, by its name."""


@contextmanager
def variant(name: str | None) -> Iterator[None]:
    """Run with a part taken out; None for the real protocol."""
    with ExitStack() as stack:
        for owner, method, replacement in VARIANTS[name].replacements if name else ():
            stack.enter_context(mock.patch.object(owner, method, replacement))
        yield


def provoked_by(name: str | None) -> tuple[str, ...]:
    """The kinds of faults that bring a variant out."""
    return VARIANTS[name].kinds if name else ()


def shows(name: str, violation: str | None) -> bool:
    """Whether what was found is how the variant shows."""
    return violation is not None and any(symptom in violation for symptom in VARIANTS[name].symptoms)
