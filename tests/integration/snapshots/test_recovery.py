"""A worker that starts with a snapshot: it folds the tail and nothing else, whatever the tail is made of."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from streams.client import ConnectClient
from streams.errors import LogCorrupt, SnapshotsLocked
from streams.kafka.administration import apply
from streams.kafka.clients import admin
from streams.kafka.partitioner import partition_of
from streams.service.worker import Worker
from streams.settings import Settings
from tests.integration.snapshots.place import Place, everything, folding, owned
from tests.support.region import working
from tests.support.waiting import DEADLINE_S, until

pytestmark = pytest.mark.kafka

EMPTY, CLAIMS, VOIDS, CLAIM_LAST, AT_END, VOIDS_ONLY, EVENTS, NO_SNAPSHOT = range(8)
"""What the log of each partition looks like, see `_write`."""

KINDS: Final = {
    EMPTY: "nothing was ever written",
    CLAIMS: "a snapshot of claims, and claims after it",
    VOIDS: "events and then void ones after the snapshot",
    CLAIM_LAST: "events and a claim after the snapshot",
    AT_END: "a snapshot of all there is",
    VOIDS_ONLY: "only void events after the snapshot",
    EVENTS: "events after the snapshot",
    NO_SNAPSHOT: "events and no snapshot",
}

Logged = list[Any]


def _write(place: Place) -> dict[int, int]:
    """Write the logs and keep the snapshots; gives the offset of each snapshot, -1 for none."""
    for partition in set(KINDS) - {EMPTY}:
        place.claims(partition)
        if partition != CLAIMS:
            place.happens(partition, "t1", "t2", "t1")
    for partition in set(KINDS) - {EMPTY, NO_SNAPSHOT}:
        place.keep(partition)
    kept = {partition: place.state(partition).folded for partition in KINDS} | {NO_SNAPSHOT: -1}
    place.claims(CLAIMS, "w8")
    place.happens(VOIDS, "t3")
    place.void(VOIDS, "zombie", "t1")
    place.happens(CLAIM_LAST, "t2")
    place.claims(CLAIM_LAST, "w9")
    place.void(VOIDS_ONLY, "zombie", "zombie")
    place.happens(EVENTS, "t1", "t4")
    return kept


@pytest.fixture
def logged() -> Iterator[Logged]:
    with capture_logs() as logs:
        yield logs


def _named(logged: Logged, event: str) -> Mapping[int, Any]:
    return {line["partition"]: line for line in logged if line["event"] == event}


def _written(logged: Logged) -> dict[int, int]:
    """Offset of the last snapshot that was written, by partition."""
    return {partition: line["offset"] for partition, line in _named(logged, "snapshot.written").items()}


async def test_a_tail_of_any_kind_is_folded_onto_the_snapshot(place: Place, logged: Logged) -> None:
    kept = _write(place)
    with folding() as folded:
        async with working(place.settings) as worker:
            found = await owned(worker)
    for partition, kind in KINDS.items():
        own_claim = place.state(partition).folded + 1
        assert folded[partition] == list(range(kept[partition] + 1, own_claim + 1)), kind
        assert everything(found[partition]) == everything(place.folded(partition)), kind
    assert set(_named(logged, "snapshot.loaded")) == set(KINDS) - {EMPTY, NO_SNAPSHOT}
    assert not _named(logged, "snapshot.discarded")


async def test_a_worker_that_stopped_starts_from_where_it_stopped(place: Place, settings: Settings) -> None:
    async with working(settings), ConnectClient(settings) as client:
        await asyncio.gather(*(client.pause(f"t{number}") for number in range(20)))
    ends = [len(place.log(partition)) for partition in range(settings.partitions)]
    with folding() as folded:
        async with working(settings) as worker, ConnectClient(settings) as client:
            assert folded == {partition: [end] for partition, end in enumerate(ends)}
            assert all(partition.state.tenants for partition in worker._registry.owned.values())
            await asyncio.gather(*(client.resume(f"t{number}") for number in range(20)))
            found = await owned(worker)
    for partition, state in found.items():
        assert everything(state) == everything(place.folded(partition))


async def test_snapshots_are_written_while_the_worker_works(place: Place, settings: Settings, logged: Logged) -> None:
    often = settings.model_copy(update={"snapshot_interval_ms": 1})
    async with working(often), ConnectClient(settings) as client:
        await asyncio.gather(*(client.pause(f"t{number}") for number in range(10)))
        places = {partition_of(f"t{number}", settings.partitions) for number in range(10)}
        ends = {partition: len(place.log(partition)) - 1 for partition in places}
        await until(
            lambda: (
                ends.items()
                <= {line["partition"]: line["offset"] for line in logged if line["event"] == "snapshot.written"}.items()
            )
        )
    assert {partition: place.kept(partition) for partition in places} == ends


async def test_a_partition_that_somebody_else_had_meanwhile_is_folded_on_from_the_old_snapshot(
    place: Place, settings: Settings
) -> None:
    async with working(settings), ConnectClient(settings) as client:
        await client.pause("t1")
    partition = partition_of("t1", settings.partitions)
    before = place.kept(partition)
    assert before is not None
    async with working(settings.model_copy(update={"worker_name": "w2"})), ConnectClient(settings) as client:
        await client.resume("t1")
        await client.pause("t1")
    with folding() as folded:
        async with working(settings) as worker:
            found = await owned(worker)
    assert folded[partition][0] == before + 1
    assert everything(found[partition]) == everything(place.folded(partition))
    assert found[partition].tenant("t1").pause is not None


async def test_a_topic_that_was_made_anew_makes_its_snapshots_foreign(
    place: Place, settings: Settings, logged: Logged
) -> None:
    async with working(settings), ConnectClient(settings) as client:
        await asyncio.gather(*(client.pause(f"t{number}") for number in range(10)))
    client_of_topics = admin(settings)
    for deleted in client_of_topics.delete_topics([place.topic]).values():
        deleted.result(DEADLINE_S)
    await until(lambda: place.topic not in client_of_topics.list_topics(timeout=DEADLINE_S).topics)
    apply(settings)
    again = Place(settings)
    partition = partition_of("t1", settings.partitions)
    again.claims(partition)
    again.happens(partition, *("t1" for _ in range(20)))
    async with working(settings) as worker:
        found = await owned(worker)
    discarded = _named(logged, "snapshot.discarded")
    assert set(discarded) == set(range(settings.partitions))
    assert "foreign" in discarded[partition]["why"]
    for number, state in found.items():
        assert everything(state) == everything(again.folded(number))


async def test_a_log_that_does_not_follow_costs_the_snapshot_and_then_stops_the_worker_by_itself(
    place: Place, settings: Settings
) -> None:
    place.claims(0)
    place.happens(0, "t1")
    place.keep(0)
    place.garbage(0)
    with pytest.raises(LogCorrupt, match=r":0:2: .*its snapshot is deleted"):
        await asyncio.wait_for(Worker(settings).run(asyncio.Event()), DEADLINE_S)
    assert place.kept(0) is None
    with pytest.raises(LogCorrupt, match=r":0:2: not an event"):
        await asyncio.wait_for(Worker(settings).run(asyncio.Event()), DEADLINE_S)


async def test_two_workers_of_one_name_do_not_share_a_directory(settings: Settings) -> None:
    async with working(settings):
        second = Worker(settings.model_copy(update={"http_port": -1}))
        with pytest.raises(SnapshotsLocked, match="w1") as locked:
            await asyncio.wait_for(second.run(asyncio.Event()), DEADLINE_S)
        assert locked.value.exit_code == 2


async def test_a_worker_without_a_disk_works_and_says_so(place: Place, settings: Settings, logged: Logged) -> None:
    settings.data_dir.mkdir()
    way = settings.data_dir / "snapshots"
    way.write_text("")
    often = settings.model_copy(update={"snapshot_interval_ms": 300})
    async with working(often), ConnectClient(settings) as client:
        await client.pause("t1")
        await until(lambda: sum(line["event"] == "snapshots.failed" for line in logged) >= 2)
        way.unlink()
        await until(lambda: any(line["event"] == "snapshots.resumed" for line in logged))
    partition = partition_of("t1", settings.partitions)
    assert place.kept(partition) == len(place.log(partition)) - 1


async def test_a_worker_that_is_told_to_keep_none_keeps_none(settings: Settings) -> None:
    none = settings.model_copy(update={"snapshot_interval_ms": 0})
    for _ in range(2):
        with folding() as folded:
            async with working(none):
                pass
        assert all(offsets[0] == 0 for offsets in folded.values())
    assert not (settings.data_dir / "snapshots").exists()
