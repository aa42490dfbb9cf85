from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from statemachine.partition import Claim
from streams.errors import LogCorrupt, OwnershipLost
from streams.registry.partition import OwnedPartition, fold_records
from streams.registry.registry import Registry
from tests.integration.registry.conftest import DEADLINE_S, Ground, event_of, landed, write

pytestmark = pytest.mark.kafka


class Holder:
    """A worker around a registry: what it took and dropped, and whether it can prove its membership."""

    def __init__(self, ground: Ground) -> None:
        self.taken: list[OwnedPartition] = []
        self.dropped: list[int] = []
        self.proved: list[int] = []
        self.is_member = True
        self.proving = asyncio.Event()
        self.may_prove = asyncio.Event()
        self.may_prove.set()
        self.registry = Registry("w1", ground.surroundings, DEADLINE_S, self.taken.append, self._drop)

    async def prove(self, partition: int) -> None:
        self.proving.set()
        await self.may_prove.wait()
        if not self.is_member:
            raise OwnershipLost
        self.proved.append(partition)

    async def recover(self) -> list[int]:
        return await self.registry.recovered(self.prove)

    async def _drop(self, number: int) -> None:
        self.dropped.append(number)
        await next(owned for owned in reversed(self.taken) if owned.state.partition == number).release()


@pytest.fixture
async def holder(ground: Ground) -> AsyncIterator[Holder]:
    holder = Holder(ground)
    yield holder
    await holder.registry.close()


async def test_what_is_assigned_is_claimed_and_then_owned_with_everything_before_it(
    ground: Ground, holder: Holder
) -> None:
    before = await ground.claim("w0", 1)
    await ground.foreign(event_of(before))
    await holder.registry.assign([0], 2)
    assert holder.taken == []
    holder.registry.fold(0, ground.records(0, 0, 2))
    await holder.recover()
    (owned,) = holder.taken
    assert owned.claim == Claim(before + 2, "w1", 2, 0)
    assert owned.state.tenant("t1").sequence == 1
    assert await landed(write(owned, "t2")) == [before + 3]


async def test_recovery_that_stopped_short_is_made_up_for(ground: Ground, holder: Holder) -> None:
    before = await ground.claim("w0", 1)
    await ground.foreign(event_of(before), event_of(before, "t2"))
    await holder.registry.assign([0, 1], 2)
    await holder.recover()
    assert [owned.state.partition for owned in holder.taken] == [0, 1]
    assert sorted(holder.taken[0].state.tenants) == ["t1", "t2"]


async def test_a_run_with_a_hole_before_it_is_not_folded(ground: Ground, holder: Holder) -> None:
    before = await ground.claim("w0", 1)
    await ground.foreign(event_of(before), event_of(before, "t2"))
    await holder.registry.assign([0], 2)
    records = ground.records(0, 0, 3)
    holder.registry.fold(0, records[2:])
    holder.registry.fold(0, records)
    await holder.recover()
    assert sorted(holder.taken[0].state.tenants) == ["t1", "t2"]
    with pytest.raises(LogCorrupt, match="missing"):
        fold_records(ground.folded(1), ground.topic, records[2:])


async def test_a_partition_that_stays_is_not_claimed_again(ground: Ground, holder: Holder) -> None:
    await holder.registry.assign([0], 1)
    await holder.recover()
    await holder.registry.assign([0, 1], 2)
    await holder.recover()
    assert [owned.state.partition for owned in holder.taken] == [0, 1]
    assert holder.dropped == []
    assert ground.folded(1).claim == holder.taken[0].claim


async def test_a_partition_that_went_is_dropped(holder: Holder) -> None:
    await holder.registry.assign([0, 1], 1)
    await holder.recover()
    await holder.registry.assign([1], 2)
    assert holder.dropped == [0]
    assert list(holder.registry.owned) == [1]
    with pytest.raises(OwnershipLost):
        await holder.taken[0].verify()


async def test_a_worker_that_missed_a_generation_claims_anew_and_folds_again(ground: Ground, holder: Holder) -> None:
    await holder.registry.assign([0], 1)
    await holder.recover()
    newer = await ground.claim("other", 2)
    await ground.foreign(event_of(newer))
    await holder.registry.assign([0], 3)
    assert holder.dropped == [0]
    await holder.recover()
    assert holder.taken[1].claim == Claim(newer + 2, "w1", 3, 0)
    assert list(holder.taken[1].state.tenants) == ["t1"]


async def test_a_partition_that_was_lost_is_claimed_anew_in_the_next_generation(ground: Ground, holder: Holder) -> None:
    await holder.registry.assign([0], 1)
    await holder.recover()
    await ground.claim("other", 1, 1)
    with pytest.raises(OwnershipLost):
        await landed(write(holder.taken[0], "t1"))
    await holder.registry.assign([0], 2)
    await holder.recover()
    assert holder.dropped == [0]
    assert holder.taken[1].claim.term == 2
    assert not holder.taken[1].lost.is_set()


async def test_where_generations_restarted_a_member_claims_with_a_higher_term(ground: Ground, holder: Holder) -> None:
    await ground.claim("old", 40, 3)
    await holder.registry.assign([0], 1)
    await holder.recover()
    (owned,) = holder.taken
    assert holder.proved == [0]
    assert owned.claim == Claim(2, "w1", 1, 4)
    assert await landed(write(owned, "t1")) == [3]
    assert ground.folded(4).claim == owned.claim


async def test_where_membership_is_not_proved_nothing_is_claimed_again(ground: Ground, holder: Holder) -> None:
    await ground.claim("successor", 40)
    holder.is_member = False
    await holder.registry.assign([0], 1)
    with pytest.raises(OwnershipLost):
        await holder.recover()
    assert holder.taken == []
    assert ground.folded(2).claim == Claim(0, "successor", 40, 0)


async def test_a_newer_claim_found_in_recovery_is_left_its_partition(ground: Ground, holder: Holder) -> None:
    await holder.registry.assign([0], 1)
    await ground.claim("successor", 2)
    holder.registry.fold(0, ground.records(0, 0, 2))
    assert await holder.recover() == [0]
    assert holder.taken == []


async def test_a_rebalance_before_recovery_is_over_is_settled_by_the_claims_of_the_last(holder: Holder) -> None:
    for generation in (1, 2, 3):
        await holder.registry.assign([0, 1], generation)
    await holder.recover()
    assert [owned.claim for owned in holder.taken] == [Claim(2, "w1", 3, 0)] * 2
    await holder.recover()
    assert len(holder.taken) == 2


async def test_a_rebalance_while_a_claim_is_settled_leaves_one_owner_with_the_whole_state(
    ground: Ground, holder: Holder
) -> None:
    before = await ground.claim("old", 40)
    await ground.foreign(event_of(before))
    holder.may_prove.clear()
    await holder.registry.assign([0], 1)
    settling = asyncio.create_task(holder.recover())
    await asyncio.wait_for(holder.proving.wait(), DEADLINE_S)
    assigning = asyncio.create_task(holder.registry.assign([0], 2))
    await asyncio.sleep(0)
    holder.may_prove.set()
    await asyncio.wait_for(asyncio.gather(settling, assigning), DEADLINE_S)
    assert holder.taken == []
    await holder.recover()
    (owned,) = holder.taken
    assert list(owned.state.tenants) == ["t1"]
    assert ground.folded(owned.claim.offset + 1).claim == owned.claim
    assert await landed(write(owned, "t2")) == [owned.claim.offset + 1]


async def test_recovery_that_ends_while_new_claims_are_on_their_way_owns_nothing_under_the_old(
    holder: Holder,
) -> None:
    await holder.registry.assign([0], 1)
    assigning = asyncio.create_task(holder.registry.assign([0], 2))
    await asyncio.sleep(0)
    await asyncio.gather(holder.recover(), assigning)
    await holder.recover()
    assert {owned.claim.generation for owned in holder.taken} == {2}
    assert len(holder.taken) == 1
