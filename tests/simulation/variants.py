"""The protocol with one part taken out, for each part that holds it together: the simulation must notice every one.

A variant replaces methods of the real classes while a simulation runs, in every worker and every reader alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final
from unittest import mock

from statemachine.events import CommandPlace, Event
from statemachine.partition import Claim, PartitionState, Verdict
from statemachine.reactions import Reaction, reaction
from statemachine.state import TenantState
from streams.engine.app import Engine
from streams.log.reader import Record
from streams.registry.partition import Flight, OwnedPartition
from streams.registry.registry import Registry
from streams.worker.owner import PartitionOwner, _Work
from streams.worker.owners import Owners
from streams.worker.run import Run

Replacement = tuple[type, str, Callable[..., Any]]
"""Class, name of its method, and what takes its place."""


def _apply_any(state: PartitionState, event: Event) -> Verdict:
    state.apply(event)
    return Verdict.APPLIED


def _judge_nothing(partition: OwnedPartition, records: list[Record]) -> list[int]:
    return [record.offset for record in records]


async def _land_blindly(partition: OwnedPartition, flight: Flight) -> None:
    last = await flight.acknowledged
    partition._known = max(partition._known, last)
    partition.state.advance(partition._known)
    if not flight.landed.done():
        flight.landed.set_result(range(last - flight.count + 1, last + 1))


async def _settle_at_once(owner: PartitionOwner, work: _Work, flight: Flight | None) -> None:
    known = owner.partition._known
    owner._act(work, range(known + 1, known + 1 + work.appended), known + work.appended)
    if flight is not None:
        await flight.landed
    work.receipts.seal()
    await work.receipts.delivered


async def _verify_nothing(partition: OwnedPartition) -> int:
    return partition._known


_APPENDED: Final = PartitionOwner._appended


def _appended_and_acted_on(owner: PartitionOwner, state: TenantState, work: _Work) -> int:
    owner._office.effects.want(owner, state)
    return _APPENDED(owner, state, work)


def _any_claim(claim: Claim, other: Claim) -> bool:
    del claim, other
    return True


async def _own_at_once(registry: Registry, state: PartitionState, offset: int, prove: Any) -> Claim:
    del prove
    state.claim = Claim(offset, registry._worker, registry._generation or 0, 0)
    state.folded = offset
    return state.claim


def _fold_nothing(registry: Registry, partition: int, records: list[Record]) -> None:
    del registry, partition, records


def _never_decided(state: PartitionState, offset: int, origin: CommandPlace | None) -> bool:
    del state, offset, origin
    return False


def _decided_by_offset(state: PartitionState, offset: int, origin: CommandPlace | None) -> bool:
    del origin
    return offset <= state.command_offset


def _start_without_timers(owner: PartitionOwner) -> None:
    for state in list(owner.partition.state.tenants.values()):
        if reaction(state) is not Reaction.RECONNECT:
            owner._office.effects.want(owner, state)


def _continues_anyhow(engine: Engine, run: Run, tp: Any) -> bool:
    del engine, run, tp
    return True


def _decide_or_drop(owners: Owners, run: Run) -> Any:
    owner = owners._owners.get(run.partition)
    return _done() if owner is None or owner.partition.lost.is_set() else owner.take(run)


async def _done() -> None:
    return


VARIANTS: Final[dict[str, tuple[Replacement, ...]]] = {
    "fence switched off": (
        (PartitionState, "_event", _apply_any),
        (OwnedPartition, "_judge", _judge_nothing),
    ),
    "reply before the acknowledgement": ((PartitionOwner, "_settle", _settle_at_once),),
    "effect before the acknowledgement": ((PartitionOwner, "_appended", _appended_and_acted_on),),
    "no generation in the claim": ((Claim, "supersedes", _any_claim),),
    "deciding before recovery": ((Registry, "_settle_claim", _own_at_once), (Registry, "fold", _fold_nothing)),
    "forgetting command offsets": ((PartitionState, "is_decided", _never_decided),),
    "forgetting where commands come from": ((PartitionState, "is_decided", _decided_by_offset),),
    "timers from memory only": ((PartitionOwner, "start", _start_without_timers),),
    "no gap is read back": ((OwnedPartition, "_land", _land_blindly),),
    "no read index": ((OwnedPartition, "verify", _verify_nothing),),
    "runs out of turn": ((Engine, "_continues", _continues_anyhow),),
    "commands of others are dropped": ((Owners, "decide", _decide_or_drop),),
}
"""What is taken out, by its name."""


@contextmanager
def variant(name: str | None) -> Iterator[None]:
    """Run with a part taken out; None for the real protocol."""
    with ExitStack() as stack:
        for owner, method, replacement in VARIANTS[name] if name else ():
            stack.enter_context(mock.patch.object(owner, method, replacement))
        yield
