"""Snapshots of a partition whose owner is at work: they have what the log has, and nothing that is still on its way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from statemachine import PartitionState
from streams.errors import OwnershipLost
from streams.registry.partition import OwnedPartition
from streams.registry.registry import Registry
from streams.settings import Settings
from streams.snapshots.snapshot import Snapshot
from tests.integration.registry.conftest import DEADLINE_S, Ground, event_of, landed, write
from tests.integration.snapshots.place import everything

pytestmark = pytest.mark.kafka


class Left:
    """A shelf in memory.

    Attributes:
        snapshots: what was left there.
    """

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []

    async def load(self, _partitions: object) -> dict[int, PartitionState]:
        return {}

    def release(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def distrust(self, _partition: int) -> bool:
        return False


@pytest.fixture
async def ground(settings: Settings) -> AsyncIterator[Ground]:
    ground = Ground(settings)
    yield ground
    await ground.close()


def _same(ground: Ground, snapshot: Snapshot) -> None:
    """The snapshot is what a reader makes of the log up to its offset."""
    reader = ground.folded(snapshot.folded + 1)
    assert everything(_state(snapshot)) == everything(reader)
    (last,) = ground.records(0, snapshot.folded, snapshot.folded + 1)
    assert snapshot.last == last.value


def _state(snapshot: Snapshot) -> PartitionState:
    state = PartitionState(snapshot.partition)
    for name in ("folded", "claim", "command_offset", "void"):
        setattr(state, name, getattr(snapshot, name))
    state.origins, state.tenants = dict(snapshot.origins), dict(snapshot.tenants)
    return state


async def test_a_snapshot_has_the_offset_at_which_the_log_has_its_events(ground: Ground) -> None:
    owned = await ground.owned()
    write(owned, "t1", "t2")
    asked = asyncio.create_task(owned.snapshot())
    await asyncio.sleep(0)
    later = write(owned, "t3")
    snapshot = await asked
    assert (snapshot.folded, sorted(snapshot.tenants)) == (owned.claim.offset + 2, ["t1", "t2"])
    _same(ground, snapshot)
    await landed(later)
    _same(ground, await owned.snapshot())
    await owned.release()


async def test_a_snapshot_behind_somebody_else_s_void_records_is_known_by_the_last_of_them(ground: Ground) -> None:
    owned = await ground.owned()
    await landed(write(owned, "t1"))
    void = await ground.foreign(event_of(999), event_of(998, "zombie"))
    assert await owned.verify() == void
    snapshot = await owned.snapshot()
    assert (snapshot.folded, snapshot.void) == (void, 2)
    _same(ground, snapshot)
    await owned.release()


async def test_snapshots_under_way_with_zombies_and_commands_are_exact(ground: Ground) -> None:
    chance = random.Random("snapshots")
    owned = await ground.owned()
    asked: list[asyncio.Task[Snapshot]] = []
    tenants = iter(range(1_000))
    for _ in range(60):
        match chance.choice(["write", "write", "zombie", "snapshot", "ask", "wait"]):
            case "write":
                write(owned, *(f"t{next(tenants)}" for _ in range(chance.randint(1, 5))))
            case "zombie":
                await ground.foreign(event_of(999), event_of(998, "zombie"))
            case "snapshot":
                asked.append(asyncio.create_task(owned.snapshot()))
            case "ask":
                await owned.verify()
            case "wait":
                await asyncio.sleep(chance.random() * 0.005)
    snapshots = [await asyncio.wait_for(task, DEADLINE_S) for task in asked]
    assert len({snapshot.folded for snapshot in snapshots}) > 3
    assert max(snapshot.void for snapshot in snapshots) > 0
    for snapshot in snapshots:
        _same(ground, snapshot)
    await landed(write(owned, "last"))
    await owned.release()
    settled = owned.settled()
    assert settled is not None
    _same(ground, settled)


async def test_an_owner_that_was_deposed_has_no_snapshot_of_what_does_not_count(ground: Ground) -> None:
    owned = await ground.owned()
    await landed(write(owned, "t1"))
    await ground.claim("successor", 2)
    write(owned, "t2")
    with pytest.raises(OwnershipLost):
        await asyncio.wait_for(owned.snapshot(), DEADLINE_S)
    with pytest.raises(OwnershipLost):
        await owned.snapshot()
    await owned.release()
    assert owned.settled() is None


async def test_an_owner_that_learned_of_its_successor_by_asking_has_the_state_before(ground: Ground) -> None:
    owned = await ground.owned()
    await landed(write(owned, "t1"))
    await ground.claim("successor", 2)
    with pytest.raises(OwnershipLost):
        await owned.verify()
    await owned.release()
    settled = owned.settled()
    assert settled is not None
    assert settled.folded == owned.claim.offset + 1
    _same(ground, settled)
    write(owned, "t2")
    assert owned.settled() is None


async def test_what_is_let_go_with_events_on_their_way_leaves_no_snapshot(ground: Ground) -> None:
    owned = await ground.owned()
    write(owned, "t1")
    await owned.release()
    assert owned.settled() is None


def _registry(ground: Ground, left: Left) -> Registry:
    taken: list[OwnedPartition] = []

    async def drop(number: int) -> None:
        await next(owned for owned in reversed(taken) if owned.state.partition == number).release()

    return Registry("w1", ground.surroundings, DEADLINE_S, taken.append, drop, left)


async def _prove(_partition: int) -> None:
    """It is a member."""


async def test_partitions_that_go_leave_their_snapshots_whether_owned_or_on_the_way(ground: Ground) -> None:
    left = Left()
    registry = _registry(ground, left)
    before = await ground.claim("w0", 1)
    await ground.foreign(event_of(before))
    await registry.assign([0, 1], 2)
    assert await registry.snapshot(0) is None
    registry.fold(0, ground.records(0, 0, 2))
    halfway = await registry.snapshot(0)
    assert halfway is not None
    assert registry.positions() == {0: 1, 1: -1}
    _same(ground, halfway)
    await registry.recovered(_prove)
    await landed(write(registry.owned[0], "t2"))
    await registry.assign([1], 3)
    await registry.close()
    assert [snapshot.partition for snapshot in left.snapshots] == [0, 1]
    _same(ground, left.snapshots[0])
    assert left.snapshots[0].folded == before + 3


async def test_a_recovery_that_is_broken_off_leaves_what_it_folded(ground: Ground) -> None:
    left = Left()
    registry = _registry(ground, left)
    before = await ground.claim("w0", 1)
    await ground.foreign(event_of(before), event_of(before, "t2"))
    await registry.assign([0], 2)
    registry.fold(0, ground.records(0, 0, 2))
    await registry.assign([0], 3)
    registry.fold(0, ground.records(0, 0, 3))
    await registry.close()
    assert [snapshot.folded for snapshot in left.snapshots] == [1, 2]
    for snapshot in left.snapshots:
        _same(ground, snapshot)
