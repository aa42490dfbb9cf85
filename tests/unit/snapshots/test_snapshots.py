"""The snapshots of a worker: when they are written, what is loaded, and what a disk that fails costs."""

from __future__ import annotations

import asyncio
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from structlog.testing import capture_logs

from statemachine.partition import PartitionState
from streams.errors import KafkaUnreachable, OwnershipLost, SnapshotsLocked
from streams.snapshots import snapshots as module
from streams.snapshots.marks import Marks
from streams.snapshots.outcome import Outcome
from streams.snapshots.shelf import Shelf
from streams.snapshots.snapshot import Snapshot
from streams.snapshots.snapshots import Pace, Snapshots
from streams.snapshots.store import Store
from tests.support.waiting import DEADLINE_S, until
from tests.unit.snapshots.logs import TOPIC, Life, Record, everything, fill, folded, snapshot_at, value_of

SELDOM: Final = Pace(3600.0, 1_000_000)
OFTEN: Final = Pace(0.02, 1_000_000)
EVERY_RECORD: Final = Pace(3600.0, 1)

Warnings = list[Any]


class Partitions:
    """The partitions that a worker has at hand, as their snapshots come from there.

    Attributes:
        lives: their logs.
        asked: the partitions of which a snapshot was asked.
        lost: those that turned out to be another worker's.
        takes_s: how long a snapshot takes, in seconds.
    """

    takes_s = 0.0

    def __init__(self, **lives: Life) -> None:
        self.lives = {int(number.removeprefix("p")): life for number, life in lives.items()}
        self.asked: list[int] = []
        self.lost: set[int] = set()

    def positions(self) -> Mapping[int, int]:
        return {number: len(life.records) - 1 for number, life in self.lives.items()}

    async def snapshot(self, partition: int) -> Snapshot | None:
        self.asked.append(partition)
        await asyncio.sleep(self.takes_s)
        if partition in self.lost:
            raise OwnershipLost
        records = self.lives[partition].records
        return snapshot_at(records, len(records) - 1, partition)


def life_of(*tenants: str) -> Life:
    life = Life()
    life.claimed()
    for tenant in tenants:
        life.happens(tenant)
    return life


def marks_of(logs: Mapping[int, Sequence[Record]]) -> Marks:
    """Reads records of logs in memory."""

    def read(offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        return {
            partition: value_of(logs[partition][offset]) if offset < len(logs[partition]) else None
            for partition, offset in offsets.items()
        }

    return read


class Keeper(Snapshots):
    """Snapshots in a directory.

    Attributes:
        counts: what became of them.
    """

    def __init__(self, directory: Path, marks: Marks, pace: Pace = SELDOM) -> None:
        self.counts: Counter[Outcome] = Counter()
        super().__init__(Store(directory), TOPIC, marks, pace, lambda outcome: self.counts.update([outcome]))


@asynccontextmanager
async def keeping(snapshots: Snapshots, partitions: Partitions) -> AsyncIterator[None]:
    """Snapshots are written, for as long as it is entered."""
    running = asyncio.create_task(snapshots.run(partitions))
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def logged() -> Iterator[Warnings]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr("streams.snapshots.disk.REST_S_MIN", 0.01)


def named(logs: Warnings, event: str) -> list[Any]:
    return [line for line in logs if line["event"] == event]


async def loaded(directory: Path, marks: Marks, *partitions: int) -> dict[int, PartitionState]:
    """What a later worker finds."""
    snapshots = Keeper(directory, marks)
    await snapshots.open()
    found = await snapshots.load(partitions)
    await snapshots.close()
    return found


async def test_what_is_released_is_there_when_the_worker_starts_again(tmp_path: Path) -> None:
    life, other = life_of("t1", "t2", "t1"), life_of("t3")
    marks = marks_of({0: life.records, 7: other.records})
    snapshots = Keeper(tmp_path, marks)
    await snapshots.open()
    snapshots.release(snapshot_at(life.records, 3))
    snapshots.release(snapshot_at(other.records, 1, 7))
    await snapshots.close()
    found = await loaded(tmp_path, marks, 0, 3, 7)
    assert sorted(found) == [0, 7]
    assert everything(found[0]) == everything(folded(life.records))
    assert everything(found[7]) == everything(folded(other.records, 7))


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("pace", [OFTEN, EVERY_RECORD])
async def test_what_was_appended_is_written_after_a_while_or_after_some_records(
    tmp_path: Path, logged: Warnings, pace: Pace
) -> None:
    life, quiet = life_of("t1"), life_of()
    snapshots = Keeper(tmp_path, marks_of({0: life.records, 1: quiet.records}), pace)
    async with keeping(snapshots, Partitions(p0=life, p1=quiet)):
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 2)
        life.happens("t2")
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 3)
    await snapshots.close()
    assert sum(line["states"] for line in named(logged, "snapshot.written")) == 1 + 2


@pytest.mark.usefixtures("often")
async def test_nothing_is_written_where_nothing_was_appended(tmp_path: Path) -> None:
    life = life_of("t1")
    partitions = Partitions(p0=life)
    marks = marks_of({0: life.records})
    for _ in range(2):
        snapshots = Keeper(tmp_path, marks, OFTEN)
        await snapshots.load([0])
        async with keeping(snapshots, partitions):
            await until(lambda: partitions.asked == [0])
            await asyncio.sleep(0.1)
        await snapshots.close()
    assert partitions.asked == [0]


@pytest.mark.usefixtures("often")
async def test_a_partition_that_is_another_worker_s_holds_up_no_other(tmp_path: Path) -> None:
    partitions = Partitions(p0=life_of("t1"), p1=life_of("t2"))
    partitions.lost.add(0)
    marks = marks_of({number: life.records for number, life in partitions.lives.items()})
    snapshots = Keeper(tmp_path, marks, OFTEN)
    async with keeping(snapshots, partitions):
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 1 and partitions.asked.count(0) > 1)
    await snapshots.close()
    assert list(await loaded(tmp_path, marks, 0, 1)) == [1]


@pytest.mark.usefixtures("often")
async def test_partitions_that_are_always_due_take_turns(tmp_path: Path) -> None:
    partitions = Partitions(p0=life_of("t1"), p1=life_of("t2"), p2=life_of("t3"))
    marks = marks_of({number: life.records for number, life in partitions.lives.items()})
    partitions.lost |= {0, 1, 2}
    partitions.takes_s = 0.03
    snapshots = Keeper(tmp_path, marks, Pace(0.0, 1))
    async with keeping(snapshots, partitions):
        await until(lambda: len(partitions.asked) >= 9)
    assert sorted(partitions.asked[:9]) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    await snapshots.close()


async def test_what_was_released_is_not_written_once_the_partition_begins_anew(tmp_path: Path) -> None:
    life = life_of("t1", "t2")
    marks = marks_of({0: life.records})
    snapshots = Keeper(tmp_path, marks)
    await snapshots.open()
    snapshots.release(snapshot_at(life.records, 2))
    assert await snapshots.load([0]) == {}
    await snapshots.close()
    assert await loaded(tmp_path, marks, 0) == {}


async def _kept(directory: Path, *offsets: int, life: Life) -> None:
    """Snapshots at ``offsets`` are on the disk."""
    store = Store(directory)
    store.open()
    for offset in offsets:
        fill(Shelf(store, TOPIC), snapshot_at(life.records, offset))
    store.close()


async def test_a_snapshot_of_another_log_is_deleted_with_a_warning(tmp_path: Path, logged: Warnings) -> None:
    life, other = life_of("t1", "t2"), life_of("t9", "t8")
    await _kept(tmp_path, 1, 2, life=life)
    assert await loaded(tmp_path, marks_of({0: other.records}), 0) == {}
    warnings = named(logged, "snapshot.discarded")
    assert [(warning["partition"], warning["slot"], warning["log_level"]) for warning in warnings] == [
        (0, 1, "warning"),
        (0, 0, "warning"),
    ]
    assert all("foreign" in warning["why"] for warning in warnings)
    assert await loaded(tmp_path, marks_of({0: life.records}), 0) == {}


async def test_a_snapshot_that_leads_the_log_is_deleted_and_the_one_before_is_used(
    tmp_path: Path, logged: Warnings
) -> None:
    life = life_of("t1", "t2", "t3")
    await _kept(tmp_path, 2, 3, life=life)
    shorter = life.records[:3]
    found = await loaded(tmp_path, marks_of({0: shorter}), 0)
    assert everything(found[0]) == everything(folded(shorter))
    (warning,) = named(logged, "snapshot.discarded")
    assert warning["why"] == "it goes up to offset 3, and the log does not reach so far"


async def test_where_kafka_does_not_say_nothing_is_used_and_nothing_deleted(tmp_path: Path, logged: Warnings) -> None:
    life = life_of("t1")
    await _kept(tmp_path, 1, life=life)

    def away(_offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        raise KafkaUnreachable("no broker answers")

    assert await loaded(tmp_path, away, 0) == {}
    assert named(logged, "snapshots.unverified")
    assert list(await loaded(tmp_path, marks_of({0: life.records}), 0)) == [0]


async def test_a_log_that_does_not_follow_from_a_snapshot_costs_the_snapshot(tmp_path: Path) -> None:
    life = life_of("t1", "t2")
    marks = marks_of({0: life.records})
    await _kept(tmp_path, 1, 2, life=life)
    snapshots = Keeper(tmp_path, marks)
    assert not snapshots.distrust(0)
    await snapshots.load([0])
    assert snapshots.distrust(0)
    life.happens("t3")
    snapshots.release(snapshot_at(life.records, 3))
    await snapshots.close()
    assert snapshots.counts[Outcome.WRITTEN] == 0
    assert await loaded(tmp_path, marks, 0) == {}


async def test_two_workers_do_not_share_a_directory(tmp_path: Path) -> None:
    first, second = (Keeper(tmp_path, marks_of({})) for _ in range(2))
    await first.open()
    with pytest.raises(SnapshotsLocked, match=str(tmp_path)):
        await second.open()
    await first.close()
    await second.open()
    await second.close()


def _damage(directory: Path) -> None:
    for path in directory.glob("*.sst"):
        path.write_bytes(path.read_bytes()[:50])


def _flip(directory: Path) -> None:
    for path in directory.glob("*.sst"):
        found = bytearray(path.read_bytes())
        found[10] ^= 1
        path.write_bytes(found)


def _forget_where(directory: Path) -> None:
    (directory / "CURRENT").write_text("rubbish")


@pytest.mark.parametrize("damage", [_damage, _forget_where])
async def test_a_damaged_store_is_begun_anew(tmp_path: Path, logged: Warnings, damage: Callable[[Path], None]) -> None:
    life = life_of("t1")
    marks = marks_of({0: life.records})
    await _kept(tmp_path, 1, life=life)
    damage(tmp_path)
    snapshots = Keeper(tmp_path, marks)
    await snapshots.open()
    assert await snapshots.load([0]) == {}
    snapshots.release(snapshot_at(life.records, 1))
    await snapshots.close()
    assert named(logged, "snapshots.damaged")
    assert list(await loaded(tmp_path, marks, 0)) == [0]


@pytest.mark.usefixtures("often")
async def test_damage_that_is_found_while_reading_costs_the_snapshots_only(tmp_path: Path, logged: Warnings) -> None:
    life = life_of("t1")
    marks = marks_of({0: life.records})
    await _kept(tmp_path, 1, life=life)
    snapshots = Keeper(tmp_path, marks, OFTEN)
    await snapshots.open()
    _flip(tmp_path)
    assert await snapshots.load([0]) == {}
    assert named(logged, "snapshots.failed")
    async with keeping(snapshots, Partitions(p0=life)):
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 1)
    await snapshots.close()
    assert list(await loaded(tmp_path, marks, 0)) == [0]


@pytest.mark.usefixtures("often")
async def test_a_directory_that_cannot_be_had_is_tried_again_and_told_once_an_interval(
    tmp_path: Path, logged: Warnings
) -> None:
    life = life_of("t1")
    marks = marks_of({0: life.records})
    way = tmp_path / "way"
    way.write_text("")
    snapshots = Keeper(way / "store", marks, Pace(0.2, 1))
    await snapshots.open()
    assert await snapshots.load([0]) == {}
    begun = asyncio.get_running_loop().time()
    async with keeping(snapshots, Partitions(p0=life)):
        await until(lambda: len(named(logged, "snapshots.failed")) >= 5)
        told, elapsed_s = len(named(logged, "snapshots.failed")), asyncio.get_running_loop().time() - begun
        way.unlink()
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 1)
    await snapshots.close()
    assert told - 2 <= elapsed_s / 0.2 + 1
    assert {line["log_level"] for line in named(logged, "snapshots.failed")} == {"warning"}
    assert named(logged, "snapshots.resumed")
    assert list(await loaded(way / "store", marks, 0)) == [0]


@pytest.fixture
def full_disk() -> Iterator[Callable[[bool], None]]:
    """Says whether files may grow."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(full: bool) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 if full else hard, hard))

    yield fill_up
    fill_up(False)


@pytest.mark.usefixtures("often")
async def test_a_full_disk_stops_snapshots_and_nothing_else_until_there_is_room(
    tmp_path: Path, logged: Warnings, full_disk: Callable[[bool], None]
) -> None:
    life = life_of("t1")
    marks = marks_of({0: life.records})
    snapshots = Keeper(tmp_path, marks, OFTEN)
    async with keeping(snapshots, Partitions(p0=life)):
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 1)
        full_disk(True)
        life.happens("t2")
        await until(lambda: len(named(logged, "snapshots.failed")) >= 3)
        full_disk(False)
        await until(lambda: snapshots.counts[Outcome.WRITTEN] == 2)
    await snapshots.close()
    found = await loaded(tmp_path, marks, 0)
    assert everything(found[0]) == everything(folded(life.records))


async def test_a_write_gives_way_to_a_load_of_its_partition(tmp_path: Path) -> None:
    life, other = life_of("t1"), life_of("t2")
    blank = folded(life.records).tenant("t")
    many = {f"t{number}": blank._replace(tenant=f"t{number}", hash=f"{number:x}") for number in range(5_000)}
    marks = marks_of({0: life.records, 1: other.records})
    await _kept(tmp_path, 0, life=life)
    snapshots = Keeper(tmp_path, marks)
    async with keeping(snapshots, Partitions()):
        snapshots.release(snapshot_at(life.records, 1)._replace(tenants=many))
        await until(lambda: snapshots._writing._partition == 0)
        async with asyncio.timeout(DEADLINE_S):
            found = await snapshots.load([0])
        assert found[0].folded == 0
        snapshots.release(snapshot_at(other.records, 1, 1))
        await until(lambda: snapshots.counts[Outcome.WRITTEN] > 0)
    assert snapshots.counts[Outcome.WRITTEN] == 1
    await snapshots.close()
    later = await loaded(tmp_path, marks, 0, 1)
    assert (later[0].folded, later[1].folded) == (0, 1)
