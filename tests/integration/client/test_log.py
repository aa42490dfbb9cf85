from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from statemachine.events import ConnectProvisioned, Event
from statemachine.machines import Lifecycle
from streams.client import ConnectClient
from streams.errors import LogCorrupt, TopicsDiffer
from streams.history import History, export, verify
from streams.kafka.clients import producer
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.event import Origin, encode_event, source_of

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

FLUSH_TIMEOUT_S = 30.0


@pytest.fixture
async def lived(settings: Settings, worker: object, tenant: str) -> str:
    """A tenant that was connected and shut down."""
    assert worker is not None
    async with ConnectClient(settings) as client:
        await client.connect(tenant)
        await client.shutdown(tenant)
        await client.pause("t2", reason="never connected")
    return tenant


def tamper(settings: Settings, tenant: str, value: bytes) -> tuple[str, int, int]:
    """Put bytes on the log by hand, under a tenant's key; gives their place."""
    places: list[tuple[str | None, int | None, int | None]] = []
    client = producer(settings)
    client.produce(
        Topics(settings).events,
        key=tenant,
        value=value,
        on_delivery=lambda _error, message: places.append((message.topic(), message.partition(), message.offset())),
    )
    assert client.flush(FLUSH_TIMEOUT_S) == 0
    topic, partition, offset = places[0]
    assert topic is not None
    assert partition is not None
    assert offset is not None
    return topic, partition, offset


async def test_a_timeline_and_replays_tell_what_happened(settings: Settings, lived: str) -> None:
    history = History(settings)
    timeline = await asyncio.to_thread(history.timeline, lived)
    events = [entry.event for entry in timeline if isinstance(entry.event, Event)]
    assert [event.sequence for event in events] == [1, 2, 3, 4, 5]
    assert {entry.partition for entry in timeline} == {partition_of(lived, settings.partitions)}
    lifecycles = [history.replay(lived, sequence)[lived].lifecycle.value for sequence in range(6)]
    assert lifecycles == ["absent", "checking", "provisioning", "ready", "stopping", "absent"]
    assert history.replay(lived, events[2].time)[lived].lifecycle is Lifecycle.READY
    assert history.replay(until=datetime.now(UTC) - timedelta(days=1)) == {}
    now = history.replay()
    assert sorted(now) == [lived, "t2"]
    assert now[lived].hash == events[-1].hash
    assert [(state, owner is not None and owner.worker) for state, owner in history.states()] == [
        (now[tenant], settings.worker_name) for tenant in (lived, "t2")
    ]


async def test_a_log_that_workers_wrote_is_clean_and_exported_line_by_line(settings: Settings, lived: str) -> None:
    report = await asyncio.to_thread(verify, settings)
    assert report.findings == ()
    assert (report.records, report.valid, report.void) == (settings.partitions + 6, settings.partitions + 6, 0)
    assert report.tenants == 2
    lines = await asyncio.to_thread(lambda: list(export(settings)))
    assert len(lines) == report.valid
    assert sum(f'"subject":"{lived}"' in line for line in lines) == 5


async def test_garbage_on_the_log_is_found_with_its_place_and_the_rest_is_still_checked(
    settings: Settings, lived: str
) -> None:
    place = tamper(settings, lived, b"garbage")
    report = await asyncio.to_thread(verify, settings)
    assert [(found.topic, found.partition, found.offset, found.code) for found in report.findings] == [
        (*place, "unreadable")
    ]
    assert report.valid == settings.partitions + 6
    with pytest.raises(LogCorrupt, match=f"{place[0]}:{place[1]}:{place[2]}"):
        History(settings).timeline(lived)


async def test_a_forged_event_is_found_with_its_place(settings: Settings, lived: str) -> None:
    state = History(settings).replay(lived)[lived]
    partition = partition_of(lived, settings.partitions)
    origin = Origin(source_of(settings.region, partition), 0, "effect:forged")
    _, forged = encode_event(state, ConnectProvisioned(0, (), 0), datetime.now(UTC), origin)
    place = tamper(settings, lived, forged)
    report = await asyncio.to_thread(verify, settings)
    assert [(found.topic, found.partition, found.offset, found.code) for found in report.findings] == [
        (*place, "illegal_event")
    ]
    assert "connect.provisioned" in report.findings[0].message


def test_a_log_that_is_not_there_says_so(settings: Settings) -> None:
    elsewhere = settings.model_copy(update={"topic_prefix": "nobody-made-this"})
    with pytest.raises(TopicsDiffer, match=r"nobody-made-this\.local\.events"):
        History(elsewhere).states()
