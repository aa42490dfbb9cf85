"""What a disk that fails costs: snapshots, and nothing else."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.snapshots.outcome import Outcome
from streams.snapshots.snapshots import Pace
from tests.support.waiting import until
from tests.unit.snapshots.keeping import (
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
    await kept(tmp_path, 1, life=life)
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
    await kept(tmp_path, 1, life=life)
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
