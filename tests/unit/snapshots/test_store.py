"""The store on a real disk: locked, damaged, full, and in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.snapshots.doubt import StoreDamaged, StoreFailed, StoreLocked
from streams.snapshots.store import Store, destroy
from tests.unit.snapshots.logs import contents

OPENS = (
    "import sys; from pathlib import Path; from streams.snapshots.store import Store; Store(Path(sys.argv[1])).open()"
)

DIES = """
import os, signal, sys
from pathlib import Path
from streams.snapshots.store import Store

store = Store(Path(sys.argv[1]))
store.open()
for number in range(10):
    store.write([(b"first", b"%d" % number), (b"second", b"%d" % number)])
os.kill(os.getpid(), signal.SIGKILL)
"""

FILLS = """
import resource, sys
from pathlib import Path
from streams.snapshots.doubt import StoreFailed
from streams.snapshots.store import Store

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

store = Store(Path(sys.argv[1]))
store.open()
store.write([(b"before", b"x")])
limit(100_000)
try:
    for number in range(100):
        store.write([(b"key%d" % number, b"x" * 10_000)])
except StoreFailed as error:
    print("failed:", error)
try:
    store.close()
except StoreFailed:
    print("closed with a failure")
limit(resource.RLIM_INFINITY)
store.open()
store.write([(b"after", b"x")])
print(sorted(key for key, _ in store.read(b"", b"z", 1000) if not key.startswith(b"key")))
"""


def _elsewhere(program: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in a process of its own."""
    return subprocess.run(  # noqa: S603  our own program
        [sys.executable, "-c", program, str(directory)], capture_output=True, text=True, check=False, timeout=60
    )


def _filled(directory: Path) -> Store:
    store = Store(directory)
    store.open()
    store.write([(b"key%04d" % number, b"x" * 1000) for number in range(2000)])
    return store


def test_batches_delete_before_they_put(store: Store) -> None:
    store.write([(b"a1", b"1"), (b"a2", b"2"), (b"b", b"3")])
    store.write([(b"a2", b"4"), (b"b", b"5")], clear=[(b"a", b"b")], drop=[b"b"])
    assert contents(store) == {b"a2": b"4", b"b": b"5"}


def test_keys_are_read_in_order_and_in_pieces(store: Store) -> None:
    store.write([(b"%d" % number, b"") for number in (5, 3, 1, 4, 2)])
    assert [key for key, _ in store.read(b"2", b"5", 2)] == [b"2", b"3"]
    assert [key for key, _ in store.read(b"3\0", b"5", 9)] == [b"4"]
    assert store.read(b"6", b"9", 9) == []


def test_what_was_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    store = _filled(tmp_path / "store")
    before = contents(store)
    store.close()
    store.open()
    assert contents(store) == before
    store.close()


def test_a_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreFailed, match="not open"):
        Store(tmp_path).get(b"key")


def test_nobody_else_opens_it(store: Store) -> None:
    with pytest.raises(StoreLocked):
        Store(store.directory).open()
    elsewhere = _elsewhere(OPENS, store.directory)
    assert elsewhere.returncode == 1
    assert "StoreLocked" in elsewhere.stderr


def test_nobody_else_destroys_it(store: Store) -> None:
    with pytest.raises(StoreLocked):
        destroy(store.directory)
    store.write([(b"still", b"here")])


def test_a_store_that_was_destroyed_begins_anew(tmp_path: Path) -> None:
    store = _filled(tmp_path / "store")
    store.destroy()
    assert not (tmp_path / "store").exists()
    store.open()
    assert contents(store) == {}
    store.close()


def test_a_file_in_the_way_is_a_failure_that_passes(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("")
    store = Store(tmp_path / "way" / "store")
    with pytest.raises(StoreFailed):
        store.open()
    (tmp_path / "way").unlink()
    store.open()
    store.close()


def _rubbish(directory: Path, pattern: str) -> None:
    for path in directory.glob(pattern):
        path.write_bytes(b"rubbish" * 20)


def _flipped(directory: Path) -> None:
    for path in directory.glob("*.sst"):
        found = bytearray(path.read_bytes())
        found[len(found) // 2] ^= 1
        path.write_bytes(found)


def _cut(directory: Path) -> None:
    for path in directory.glob("*.sst"):
        path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    "damage",
    [
        lambda directory: _rubbish(directory, "CURRENT"),
        lambda directory: _rubbish(directory, "MANIFEST*"),
        lambda directory: _rubbish(directory, "*.sst"),
        _flipped,
        _cut,
        lambda directory: [path.unlink() for path in directory.glob("*.sst")],
    ],
    ids=["current", "manifest", "table", "flipped", "cut", "missing"],
)
def test_a_damaged_store_is_not_read(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    store = _filled(tmp_path / "store")
    store.close()
    damage(store.directory)
    with pytest.raises(StoreDamaged):
        _open_and_read(store)
    store.destroy()
    store.open()
    store.close()


def _open_and_read(store: Store) -> None:
    store.open()
    contents(store)


@pytest.mark.parametrize(("share", "last"), [(1.0, 9), (0.5, None)])
def test_a_process_that_was_killed_leaves_the_batches_up_to_some_moment(
    tmp_path: Path, share: float, last: int | None
) -> None:
    _elsewhere(DIES, tmp_path)
    for path in tmp_path.glob("*.log"):
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    store = Store(tmp_path)
    store.open()
    kept = contents(store)
    store.close()
    assert kept[b"first"] == kept[b"second"]
    assert int(kept[b"first"]) == last if last is not None else 0 < int(kept[b"first"]) < 9


def test_a_full_disk_is_a_failure_that_passes(tmp_path: Path) -> None:
    full = _elsewhere(FILLS, tmp_path / "store")
    assert full.returncode == 0, full.stderr
    first, *_, last = full.stdout.splitlines()
    assert first.startswith("failed: IO error")
    assert last == "[b'after', b'before']"
