"""Directories: one a worker, whatever it is called; those that nobody uses any more are deleted."""

from __future__ import annotations

import os
import time
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
    assert directory != _directory(name + "x" if len(name) < 128 else name[:-1] + "x")


def test_names_that_look_alike_have_directories_of_their_own() -> None:
    names = ["a/b", "a_b", "a.b", "a b", "A/B"]
    assert len({_directory(name) for name in names}) == len(names)


def test_regions_have_directories_of_their_own() -> None:
    assert _directory("w1", region="east") != _directory("w1", region="west")


def _store(directory: Path, age_s: float) -> Store:
    store = Store(directory)
    store.open()
    written = time.time() - age_s
    for path in (*directory.iterdir(), directory):
        os.utime(path, (written, written))
    return store


def test_what_was_abandoned_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    abandoned = _store(tmp_path / "abandoned", ABANDONED_S + 60)
    abandoned.close()
    _age(abandoned.directory, ABANDONED_S + 60)
    recent = _store(tmp_path / "recent", 60)
    recent.close()
    held = _store(tmp_path / "held", ABANDONED_S + 60)
    own = _store(tmp_path / "own", ABANDONED_S + 60)
    assert list(sweep(own.directory, time.time())) == [abandoned.directory]
    assert {path.name for path in tmp_path.iterdir()} == {"recent", "held", "own"}
    for store in (held, own):
        store.close()


def _age(directory: Path, age_s: float) -> None:
    written = time.time() - age_s
    for path in (*directory.iterdir(), directory):
        os.utime(path, (written, written))


def test_there_is_nothing_to_sweep_before_anybody_wrote(tmp_path: Path) -> None:
    assert list(sweep(tmp_path / "none" / "own", time.time())) == []
