"""Broadcasts and positions while Kafka is away: a broker of this module's own, which is stopped and killed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from itertools import count, takewhile

import pytest

from streams.devstack.kafka.server import BACK_SOON, KafkaServer
from streams.errors import DeliveryFailed
from streams.replication.positions import Positions
from tests.integration.replication.records import Told, broadcasting, broadcasts, send_all, values
from tests.integration.replication.test_positions import a_point
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("broker"), settings=BACK_SOON)
    server.start()
    yield server
    server.stop()


async def delivered(write: Callable[[], Awaitable[None]]) -> None:
    """Write until it is delivered: a broker that has just come back takes a while to."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with suppress(DeliveryFailed):
                return await write()


def counting(enough: asyncio.Event) -> Iterator[int]:
    """Numbers from 0 on, until there are enough."""
    return takewhile(lambda _: not enough.is_set(), count())


@pytest.mark.parametrize("end", [KafkaServer.stop, KafkaServer.kill])
async def test_rows_that_are_sent_while_kafka_is_away_arrive_in_order_and_none_is_lost(
    broker: KafkaServer, end: Callable[[KafkaServer], None]
) -> None:
    # A small window keeps the streams from being through before the broker is away.
    settings = fresh_region(broker, "outage", broadcasts_in_flight_max=50)
    told = {tenant: Told() for tenant in ("t1", "t2", "t3")}
    enough = asyncio.Event()
    async with broadcasting(settings) as broadcaster:
        outboxes = [broadcaster.open(tenant, told[tenant]) for tenant in told]
        sending = asyncio.gather(*(send_all(outbox, counting(enough), 200) for outbox in outboxes))
        await until(lambda: all(len(each.bursts) > 3 for each in told.values()))
        await asyncio.to_thread(end, broker)
        # The streams wait, and nothing that is on its way is given up.
        await until(lambda: all(outbox.full for outbox in outboxes))
        before = [len(each.bursts) for each in told.values()]
        await asyncio.to_thread(broker.start)
        await until(
            lambda: all(len(each.bursts) > number + 3 for each, number in zip(told.values(), before, strict=True))
        )
        enough.set()
        await asyncio.wait_for(sending, DEADLINE_S)
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(outbox.settled() for outbox in outboxes))
    found = broadcasts(settings)
    for tenant, each in told.items():
        assert each.tags == list(range(len(each.tags)))
        assert found[tenant.encode()] == values(each.tags)
        assert each.refused == []
    assert [outbox.acknowledged_lsn for outbox in outboxes] == [each.tags[-1] for each in told.values()]


async def test_a_point_that_cannot_be_written_is_told_within_a_bound_and_written_later(broker: KafkaServer) -> None:
    settings = fresh_region(broker, "outage", delivery_timeout_ms=2000, partitions=1)
    positions = Positions(settings)
    await delivered(lambda: positions.fence(0, 3))
    await asyncio.to_thread(broker.stop)
    async with asyncio.timeout(DEADLINE_S):
        with pytest.raises(DeliveryFailed):
            await positions.write(a_point(3, 1))
    assert positions.point("t1") is None
    await asyncio.to_thread(broker.start)
    await delivered(lambda: positions.write(a_point(3, 2)))
    await positions.close()
    later = Positions(settings)
    await delivered(lambda: later.fence(0, 4))
    assert later.point("t1") == a_point(3, 2)
    await later.close()
