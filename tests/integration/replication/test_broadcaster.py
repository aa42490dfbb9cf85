from __future__ import annotations

import asyncio
import secrets
from typing import Final

import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, missing from its list of exports
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.process import free_port
from streams.errors import DeliveryFailed
from streams.kafka.clients import admin, producer
from streams.replication import broadcaster as module
from streams.replication.broadcaster import BATCH_BYTES_MAX, Broadcaster
from streams.replication.outbox import Outbox, Outstanding
from streams.replication.rows import RowCode
from streams.replication.window import RECORD_OVERHEAD_BYTES
from streams.settings import Settings
from streams.topics import BROADCAST_BYTES_MAX, Topics
from tests.integration.replication.records import Told, broadcasting, broadcasts, send_all, values
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

FLUSH_SECONDS: Final = 20.0


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a broker that is not there; closing does not wait long for it."""
    monkeypatch.setattr(module, "CLOSE_TIMEOUT_S", 0.2)
    return Settings.model_validate({"kafka": f"127.0.0.1:{free_port()}"})


async def take_at_most(settings: Settings, size: int) -> None:
    """The topic takes records of so many bytes only: return once the broker refuses larger ones, and only these."""
    limit = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, Topics(settings).broadcasts, incremental_configs=[limit])
    client = admin(settings)
    for answer in client.incremental_alter_configs([resource]).values():
        await asyncio.wrap_future(answer)
    await until(lambda: not taken(settings, size + 1))
    await until(lambda: taken(settings, size // 2))


def taken(settings: Settings, size: int) -> bool:
    """Whether the broker takes a record of so many bytes."""
    errors: list[KafkaError | None] = []
    client = producer(settings)
    client.produce(
        Topics(settings).broadcasts,
        secrets.token_bytes(size),
        "probe",
        partition=0,
        on_delivery=lambda error, _: errors.append(error),
    )
    assert client.flush(FLUSH_SECONDS) == 0
    return errors[0] is None


async def settled(outbox: Outbox) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await outbox.settled()


async def test_the_records_of_each_stream_arrive_in_order_and_each_is_told_of_its_own(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts")
    async with broadcasting(settings) as broadcaster:
        streams = {f"t{number}": (Told(), range(number, 2000, 7)) for number in range(7)}
        outboxes = {tenant: broadcaster.open(tenant, told) for tenant, (told, _) in streams.items()}
        await asyncio.gather(*(send_all(outboxes[tenant], numbers) for tenant, (_, numbers) in streams.items()))
        for tenant, (told, numbers) in streams.items():
            await settled(outboxes[tenant])
            assert told.tags == list(numbers)
            assert outboxes[tenant].acknowledged_lsn == numbers[-1]
            assert outboxes[tenant].unacknowledged == Outstanding(0, 0)
        assert broadcaster.unacknowledged == Outstanding(0, 0)
    assert broadcasts(settings) == {tenant.encode(): values(numbers) for tenant, (_, numbers) in streams.items()}


async def test_acknowledgements_come_in_bursts(kafka: KafkaServer) -> None:
    told = Told()
    async with broadcasting(fresh_region(kafka, "broadcasts")) as broadcaster:
        outbox = broadcaster.open("t1", told)
        await send_all(outbox, range(5000))
        await settled(outbox)
    assert len(told.tags) == 5000
    assert len(told.bursts) < 500


async def test_only_what_was_sealed_counts_as_acknowledged(kafka: KafkaServer) -> None:
    async with broadcasting(fresh_region(kafka, "broadcasts")) as broadcaster:
        outbox = broadcaster.open("t1", Told(), 100)
        for number in range(3):
            outbox.send(200, b"%d" % number)
        await settled(outbox)
        assert outbox.acknowledged_lsn == 100
        outbox.send(200, b"the last row of the transaction")
        outbox.seal(205)
        outbox.send(300, b"the first row of the next")
        await settled(outbox)
        assert outbox.acknowledged_lsn == 205


async def test_what_was_read_counts_at_once_where_nothing_is_on_its_way_and_never_goes_back(nowhere: Settings) -> None:
    async with broadcasting(nowhere) as broadcaster:
        outbox = broadcaster.open("t1", Told())
        for lsn in (500, 400):
            outbox.seal(lsn)
            assert outbox.acknowledged_lsn == 500
        outbox.send(600, b"v")
        outbox.seal(700)
        assert outbox.acknowledged_lsn == 500
        outbox.close()


async def test_reaching_an_lsn_is_waited_for(kafka: KafkaServer) -> None:
    async with broadcasting(fresh_region(kafka, "broadcasts")) as broadcaster:
        outbox = broadcaster.open("t1", Told())
        waiting = asyncio.create_task(outbox.reached(7))
        await send_all(outbox, range(10))
        async with asyncio.timeout(DEADLINE_S):
            await waiting
        assert outbox.acknowledged_lsn >= 7


async def test_a_full_window_takes_nothing_and_opens_again_at_half(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts", broadcasts_in_flight_max=10)
    async with broadcasting(settings) as broadcaster:
        outbox = broadcaster.open("t1", Told())
        for number in range(10):
            assert not outbox.full
            outbox.send(number, b"%d" % number)
        assert outbox.full
        assert outbox.unacknowledged == Outstanding(10, 10 * (1 + RECORD_OVERHEAD_BYTES))
        with pytest.raises(asyncio.QueueFull):
            outbox.send(10, b"one too many")
        async with asyncio.timeout(DEADLINE_S):
            await outbox.room()
        assert outbox.unacknowledged.records <= 5
        await send_all(outbox, range(10, 200))
        await settled(outbox)
    assert broadcasts(settings) == {b"t1": values(range(200))}


async def test_a_window_is_bounded_in_bytes_too(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts", broadcast_bytes_in_flight_max=100_000)
    async with broadcasting(settings) as broadcaster:
        outbox = broadcaster.open("t1", Told())
        fullness = []
        for number in range(2):
            outbox.send(number, bytes(60_000))
            fullness.append(outbox.full)
        assert fullness == [False, True]
        async with asyncio.timeout(DEADLINE_S):
            await outbox.room()


async def test_what_all_streams_have_on_its_way_is_bounded_together(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts", broadcast_bytes_per_worker_max=100_000)
    async with broadcasting(settings) as broadcaster:
        greedy, other = (broadcaster.open(tenant, Told()) for tenant in ("t1", "t2"))
        greedy.send(1, bytes(100_000))
        assert other.full
        with pytest.raises(asyncio.QueueFull):
            other.send(1, b"v")
        async with asyncio.timeout(DEADLINE_S):
            await other.room()
        other.send(1, b"v")
        await settled(other)


async def test_many_streams_share_the_total_and_all_come_through(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts", broadcast_bytes_per_worker_max=20_000)
    tenants = [f"t{number}" for number in range(12)]
    async with broadcasting(settings) as broadcaster:
        outboxes = [broadcaster.open(tenant, Told()) for tenant in tenants]
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(send_all(outbox, range(300)) for outbox in outboxes))
            await asyncio.gather(*(outbox.settled() for outbox in outboxes))
    assert broadcasts(settings) == {tenant.encode(): values(range(300)) for tenant in tenants}


async def test_a_record_that_is_too_large_for_any_topic_is_dropped_and_the_rest_goes_on(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts")
    told = Told()
    async with broadcasting(settings) as broadcaster:
        outbox = broadcaster.open("t1", told)
        await send_all(outbox, range(5))
        outbox.send(5, bytes(BROADCAST_BYTES_MAX + 1), "the large one")
        outbox.seal(5)
        await send_all(outbox, range(6, 10))
        await settled(outbox)
        assert outbox.acknowledged_lsn == 9
    (dropped,) = told.refused
    assert (dropped.code, dropped.lsn, dropped.tag) == (RowCode.PAYLOAD_SIZE_EXCEEDED, 5, "the large one")
    assert str(BROADCAST_BYTES_MAX + 1) in dropped.message
    assert told.tags == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert broadcasts(settings) == {b"t1": values(told.tags)}


async def test_a_large_record_that_the_broker_refuses_is_dropped_and_all_others_arrive(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts")
    await take_at_most(settings, 3 * BATCH_BYTES_MAX)
    told, neighbour = Told(), Told()
    async with broadcasting(settings) as broadcaster:
        outbox, other = broadcaster.open("t1", told), broadcaster.open("t2", neighbour)
        sending = asyncio.create_task(send_all(other, range(3000)))
        for number in range(300):
            if number % 100 == 50:
                outbox.send(number, secrets.token_bytes(4 * BATCH_BYTES_MAX), number)
            else:
                await send_all(outbox, [number])
            await asyncio.sleep(0)
        await sending
        await settled(outbox)
        await settled(other)
        assert outbox.acknowledged_lsn == 299
    assert [dropped.lsn for dropped in told.refused] == [50, 150, 250]
    assert {dropped.code for dropped in told.refused} == {RowCode.PAYLOAD_SIZE_EXCEEDED}
    kept = [number for number in range(300) if number % 100 != 50]
    found = broadcasts(settings)
    assert found[b"t1"] == values(kept)
    assert found[b"t2"] == values(range(3000))
    assert neighbour.refused == []


async def test_a_topic_that_takes_no_ordinary_records_fails_every_stream(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts")
    await take_at_most(settings, 1000)
    told = Told()
    async with broadcasting(settings) as broadcaster:
        outbox, other = broadcaster.open("t1", told), broadcaster.open("t2", Told())
        outbox.send(1, secrets.token_bytes(5000))
        outbox.seal(1)
        async with asyncio.timeout(DEADLINE_S):
            failure = await outbox.failure
            assert await other.failure is failure
        assert outbox.acknowledged_lsn == 0
        assert told.refused == []
        for refused in (outbox.room(), outbox.settled(), outbox.reached(1)):
            with pytest.raises(DeliveryFailed):
                await refused
        with pytest.raises(DeliveryFailed):
            other.send(1, b"v")
        with pytest.raises(DeliveryFailed):
            broadcaster.open("t1", told)


async def test_after_a_failure_streams_begin_again_and_what_was_given_up_does_not_touch_them(
    kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RENEWAL_PAUSE_S", 0.0)
    settings = fresh_region(kafka, "broadcasts")
    await take_at_most(settings, 1000)
    async with broadcasting(settings) as broadcaster:
        failing = broadcaster.open("t1", Told())
        for number in range(500):
            failing.send(number, secrets.token_bytes(5000))
        async with asyncio.timeout(DEADLINE_S):
            await failing.failure
        again = broadcaster.open("t1", Told())
        await take_at_most(settings, 2 * BATCH_BYTES_MAX)
        await send_all(again, range(3))
        await settled(again)
    assert broadcasts(settings)[b"t1"] == values(range(3))


async def test_who_waits_for_room_learns_of_a_failure(nowhere: Settings) -> None:
    settings = nowhere.model_copy(update={"broadcasts_in_flight_max": 1})
    broadcaster = Broadcaster(settings)
    outbox = broadcaster.open("t1", Told())
    outbox.send(1, b"v")
    waiting = [asyncio.create_task(each) for each in (outbox.room(), outbox.settled(), outbox.reached(1))]
    await asyncio.sleep(0)
    outbox.close()
    async with asyncio.timeout(DEADLINE_S):
        found = await asyncio.gather(*waiting, return_exceptions=True)
        await broadcaster.close()
    assert [type(each) for each in found] == [DeliveryFailed] * 3


async def test_what_a_closed_stream_has_on_its_way_arrives_and_nobody_is_told(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts")
    told = Told()
    async with broadcasting(settings) as broadcaster:
        outbox = broadcaster.open("t1", told)
        await send_all(outbox, range(100))
        told.bursts.clear()
        outbox.close()
        with pytest.raises(DeliveryFailed):
            outbox.send(100, b"late")
    assert told.bursts == []
    assert broadcasts(settings) == {b"t1": values(range(100))}


async def test_closing_waits_for_what_is_on_its_way(kafka: KafkaServer) -> None:
    settings = fresh_region(kafka, "broadcasts", broadcast_linger_ms=500)
    told = Told()
    broadcaster = Broadcaster(settings)
    await send_all(broadcaster.open("t1", told), range(50))
    await broadcaster.close()
    assert told.tags == list(range(50))
    with pytest.raises(DeliveryFailed):
        broadcaster.open("t1", told)


async def test_closing_ends_though_kafka_is_away(nowhere: Settings) -> None:
    broadcaster = Broadcaster(nowhere)
    outbox = broadcaster.open("t1", Told())
    await send_all(outbox, range(50))
    async with asyncio.timeout(DEADLINE_S):
        await broadcaster.close()
    assert outbox.failure.done()
    assert outbox.acknowledged_lsn == 0


async def test_closing_what_was_never_used_is_nothing(nowhere: Settings) -> None:
    await Broadcaster(nowhere).close()
