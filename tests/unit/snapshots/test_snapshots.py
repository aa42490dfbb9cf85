"""The snapshots of a worker: when they are written, and what is loaded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from streams.errors import KafkaUnreachable, SnapshotsLocked
from streams.snapshots.outcome import Outcome
from streams.snapshots.snapshots import Pace
from tests.support.waiting import DEADLINE_S, until
from tests.unit.snapshots.keeping import (
    EVERY_RECORD,
    OFTEN,
    Keeper,
    Partitions,
    Warnings,
    keeping,
    kept,
    life_of,
    loaded,
    marks_of,
    named,
)
from tests.unit.snapshots.logs import everything, folded, snapshot_at


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


async def test_a_snapshot_of_another_log_is_deleted_with_a_warning(tmp_path: Path, logged: Warnings) -> None:
    life, other = life_of("t1", "t2"), life_of("t9", "t8")
    await kept(tmp_path, 1, 2, life=life)
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
    await kept(tmp_path, 2, 3, life=life)
    shorter = life.records[:3]
    found = await loaded(tmp_path, marks_of({0: shorter}), 0)
    assert everything(found[0]) == everything(folded(shorter))
    (warning,) = named(logged, "snapshot.discarded")
    assert warning["why"] == "it goes up to offset 3, and the log does not reach so far"


async def test_where_kafka_does_not_say_nothing_is_used_and_nothing_deleted(tmp_path: Path, logged: Warnings) -> None:
    life = life_of("t1")
    await kept(tmp_path, 1, life=life)

    def away(_offsets: Mapping[int, int]) -> Mapping[int, bytes | None]:
        raise KafkaUnreachable("no broker answers")

    assert await loaded(tmp_path, away, 0) == {}
    assert named(logged, "snapshots.unverified")
    assert list(await loaded(tmp_path, marks_of({0: life.records}), 0)) == [0]


async def test_a_log_that_does_not_follow_from_a_snapshot_costs_the_snapshot(tmp_path: Path) -> None:
    life = life_of("t1", "t2")
    marks = marks_of({0: life.records})
    await kept(tmp_path, 1, 2, life=life)
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


async def test_a_write_gives_way_to_a_load_of_its_partition(tmp_path: Path) -> None:
    life, other = life_of("t1"), life_of("t2")
    blank = folded(life.records).tenant("t")
    many = {f"t{number}": blank._replace(tenant=f"t{number}", hash=f"{number:x}") for number in range(5_000)}
    marks = marks_of({0: life.records, 1: other.records})
    await kept(tmp_path, 0, life=life)
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
