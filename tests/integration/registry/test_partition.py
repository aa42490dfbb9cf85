from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from streams.errors import LogCorrupt, OwnershipLost
from streams.log.reader import Stretch
from tests.integration.registry.conftest import DEADLINE_S, Ground, claim_of, event_of, landed, until, write

pytestmark = pytest.mark.kafka


async def test_what_a_single_writer_sends_lands_in_its_order_and_nothing_is_read_back(ground: Ground) -> None:
    owned = await ground.owned()
    claim = owned.claim.offset
    flights = [write(owned, "t1", "t2"), write(owned, "t3"), write(owned, "t4", "t5", "t6")]
    assert [await landed(flight) for flight in flights] == [
        [claim + 1, claim + 2],
        [claim + 3],
        [claim + 4, claim + 5, claim + 6],
    ]
    assert ground.read_back == []
    assert await owned.verify() == claim + 6
    assert ground.folded(claim + 7).tenants == owned.state.tenants
    await owned.release()


async def test_a_void_record_of_somebody_else_is_read_back_and_survived(ground: Ground) -> None:
    older = await ground.claim("zombie")
    owned = await ground.owned(generation=2)
    claim = owned.claim.offset
    foreign = await ground.foreign(event_of(older), event_of(older, "t9"))
    assert await landed(write(owned, "t1", "t2")) == [foreign + 1, foreign + 2]
    assert ground.read_back == [Stretch(0, claim + 1, foreign + 3)]
    assert await landed(write(owned, "t3")) == [foreign + 3]
    assert len(ground.read_back) == 1
    reader = ground.folded(foreign + 4)
    assert (reader.tenants, reader.void) == (owned.state.tenants, 2)
    await owned.release()


async def test_void_records_between_the_owners_own_do_not_shift_their_places(ground: Ground) -> None:
    older = await ground.claim("zombie")
    owned = await ground.owned(generation=2)
    expected: dict[str, int] = {}
    for number in range(5):
        await ground.foreign(event_of(older))
        first, second = f"a{number}", f"b{number}"
        expected[first], expected[second] = await landed(write(owned, first, second))
    end = await owned.verify() + 1
    written = {record.key.decode(): record.offset for record in ground.records(0, 0, end) if record.key is not None}
    assert written == expected
    await owned.release()


async def test_void_records_within_a_batch_do_not_shift_the_places_of_its_events(ground: Ground) -> None:
    older = await ground.claim("zombie")
    owned = await ground.owned(generation=2)
    claim = owned.claim.offset
    ground.producer.between = event_of(older)
    assert await landed(write(owned, "t1", "t2", "t3")) == [claim + 1, claim + 3, claim + 5]
    assert await landed(write(owned, "t4")) == [claim + 6]
    assert ground.folded(claim + 7).tenants == owned.state.tenants
    await owned.release()


async def test_a_newer_claim_within_a_batch_takes_the_whole_of_it(ground: Ground) -> None:
    owned = await ground.owned(generation=2)
    ground.producer.between = claim_of("successor", 3)
    with pytest.raises(OwnershipLost, match="successor"):
        await landed(write(owned, "t1", "t2"))
    # What stands before the claim counts for every reader; its caller hears of it from the successor.
    assert list(ground.folded(owned.claim.offset + 4).tenants) == ["t1"]
    await owned.release()


async def test_void_records_that_came_meanwhile_do_not_disturb_a_question(ground: Ground) -> None:
    older = await ground.claim("zombie")
    owned = await ground.owned(generation=2)
    last = await ground.foreign(event_of(older))
    assert await owned.verify() == last
    assert await owned.verify() == last
    assert len(ground.read_back) == 1
    await owned.release()


@pytest.mark.parametrize(("generation", "term"), [(2, 0), (3, 0), (0, 1)])
async def test_a_newer_claim_deposes_the_owner(ground: Ground, generation: int, term: int) -> None:
    owned = await ground.owned(generation=2)
    claim = await ground.claim("successor", generation, term)
    flights = [write(owned, "t1"), write(owned, "t2")]
    for flight in flights:
        with pytest.raises(OwnershipLost):
            await landed(flight)
    assert owned.lost.is_set()
    with pytest.raises(OwnershipLost):
        await owned.verify()
    with pytest.raises(OwnershipLost):
        await landed(write(owned, "t3"))
    assert ground.failures == []
    reader = ground.folded(claim + 1)
    assert reader.claim is not None
    assert reader.claim.offset == claim
    assert reader.tenants == {}
    await owned.release()


async def test_a_question_finds_a_newer_claim_where_nothing_is_written(ground: Ground) -> None:
    owned = await ground.owned()
    await ground.claim("successor", 2)
    with pytest.raises(OwnershipLost, match="successor"):
        await owned.verify()
    assert owned.lost.is_set()
    await owned.release()


async def test_the_newest_of_several_claims_is_found_behind_void_ones(ground: Ground) -> None:
    owned = await ground.owned(generation=5)
    await ground.foreign(claim_of("late", 3), claim_of("later", 4), claim_of("successor", 6), claim_of("last", 1))
    with pytest.raises(OwnershipLost, match="successor"):
        await landed(write(owned, "t1"))
    await owned.release()


@pytest.mark.parametrize(("generation", "term"), [(1, 1), (9, 0)])
async def test_a_claim_of_an_older_generation_or_term_does_not_depose(
    ground: Ground, generation: int, term: int
) -> None:
    owned = await ground.owned(generation=2, term=1)
    void = await ground.claim("late", generation, term)
    assert await landed(write(owned, "t1")) == [void + 1]
    await ground.foreign(event_of(void))
    assert await landed(write(owned, "t2")) == [void + 3]
    assert await owned.verify() == void + 3
    reader = ground.folded(void + 4)
    assert reader.claim == owned.claim
    assert reader.tenants == owned.state.tenants
    await owned.release()


@pytest.mark.parametrize("garbage", [b"", b"not an event", b'{"type":"connect.claimed"}'])
async def test_garbage_in_a_gap_is_a_corrupt_log_and_ends_the_owner(ground: Ground, garbage: bytes) -> None:
    owned = await ground.owned()
    place = await ground.foreign(garbage)
    with pytest.raises(OwnershipLost, match=f":0:{place}"):
        await landed(write(owned, "t1"))
    assert owned.lost.is_set()
    (failure,) = ground.failures
    assert isinstance(failure, LogCorrupt)
    assert f"{ground.topic}:0:{place}" in str(failure)
    await owned.release()


@pytest.mark.parametrize("asked_again", [True, False])
async def test_nobody_waits_for_ever_at_a_partition_that_is_let_go(ground: Ground, *, asked_again: bool) -> None:
    owned = await ground.owned()
    flight = write(owned, "t1")
    question = asyncio.create_task(owned.verify())
    if asked_again:
        await asyncio.sleep(0)
    await owned.release()
    late = [asyncio.ensure_future(owned.verify()), asyncio.ensure_future(landed(write(owned, "t2"))), question]
    answers = await asyncio.wait_for(asyncio.gather(*late, return_exceptions=True), DEADLINE_S)
    assert [type(answer) for answer in answers] == [OwnershipLost] * len(late)
    with pytest.raises(OwnershipLost):
        await landed(flight)


async def test_an_owner_whose_flight_is_given_up_by_its_caller_goes_on(ground: Ground) -> None:
    owned = await ground.owned()
    flight = write(owned, "t1")
    caller: asyncio.Task[Any] = asyncio.create_task(landed(flight))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    assert await landed(write(owned, "t2")) == [owned.claim.offset + 2]
    await until(lambda: owned.state.folded == owned.claim.offset + 2)
    await owned.release()


async def test_questions_asked_at_once_share_their_answer_and_see_what_was_written_before(ground: Ground) -> None:
    owned = await ground.owned()
    flights = [write(owned, f"t{number}") for number in range(5)]
    known = await asyncio.gather(*(owned.verify() for _ in range(20)))
    for flight in flights:
        await landed(flight)
    assert max(known) == owned.claim.offset + 5
    assert min(known) >= owned.claim.offset
    await owned.release()


async def test_what_lands_proves_the_claim_at_the_moment_it_was_sent_and_a_snapshot_proves_nothing(
    ground: Ground,
) -> None:
    owned = await ground.owned()
    assert owned.proved_at == -math.inf
    await owned.snapshot()
    assert owned.proved_at == -math.inf
    moments = [asyncio.get_running_loop().time()]
    await landed(write(owned, "t1"))
    moments += [owned.proved_at, asyncio.get_running_loop().time()]
    await owned.verify()
    moments += [owned.proved_at, asyncio.get_running_loop().time()]
    assert moments == sorted(moments)
    await ground.claim("other", generation=2)
    with pytest.raises(OwnershipLost):
        await owned.verify()
    assert owned.proved_at == moments[3]
    await owned.release()
