"""Directories: one a worker, whatever it is called; those that nobody uses any more are deleted."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

import pytest

from streams.settings import Settings
from streams.snapshots.directory import ABANDONED_S, directory_of, sweep
from streams.snapshots.store import Store


def _directory(worker: str, data_dir: Path = Path("data"), region: str = "local") -> Path:
    return directory_of(Settings.model_validate({"worker_name": worker, "data_dir": data_dir, "region": region}))


def test_a_worker_s_directory_is_named_for_it() -> None:
    assert _directory("w1") == Path("data/snapshots/connect.local/w1")


@pytest.mark.parametrize("name", ["..", ".", "a/b", "/etc", "a\\b", "é", "x" * 128, "ü" * 128, ".hidden", "a b", "\0"])
def test_a_name_that_is_no_file_s_stays_in_its_place(name: str) -> None:
    directory = _directory(name)
    assert directory.parent == Path("data/snapshots/connect.local")
    assert len(directory.name.encode()) < 200
    assert directory != _directory(name[:-1] + "y")


def test_names_that_look_alike_have_directories_of_their_own() -> None:
    names = ["a/b", "a_b", "a.b", "a b", "A/B"]
    assert len({_directory(name) for name in names}) == len(names)


def test_regions_have_directories_of_their_own() -> None:
    assert _directory("w1", region="east") != _directory("w1", region="west")


def _store(directory: Path) -> Store:
    store = Store(directory)
    store.open()
    return store


def _age(directory: Path, age_s: float) -> None:
    written = time.time() - age_s
    for path in (*directory.iterdir(), directory):
        # RocksDB renames some files a moment after it has made them.
        with suppress(FileNotFoundError):
            os.utime(path, (written, written))


def test_what_was_abandoned_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    abandoned, recent, held, own = (_store(tmp_path / name) for name in ("abandoned", "recent", "held", "own"))
    abandoned.close()
    recent.close()
    for store, age_s in ((abandoned, 60), (recent, -60), (held, 60), (own, 60)):
        _age(store.directory, ABANDONED_S + age_s)
    assert sweep(own.directory, time.time()) == [abandoned.directory]
    assert {path.name for path in tmp_path.iterdir()} == {"recent", "held", "own"}
    for store in (held, own):
        store.close()


def test_there_is_nothing_to_sweep_before_anybody_wrote(tmp_path: Path) -> None:
    assert sweep(tmp_path / "none" / "own", time.time()) == []
