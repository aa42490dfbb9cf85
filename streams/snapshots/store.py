"""The store of snapshots: RocksDB in a directory of one worker. The one module that knows rocksdict.

Every method blocks and keeps Python's interpreter to itself for as long as RocksDB works, so callers read and write
small amounts at a time: a batch of 500 states takes about half a millisecond. Nothing is synchronised to the disk:
a process that is killed leaves the file system's cache behind, and after a loss of power RocksDB opens with the batches
up to some moment, which is an older snapshot and never a mixed one.

Source: https://github.com/facebook/rocksdb/wiki/Write-Ahead-Log
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from rocksdict import (
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    ReadOptions,
    WriteBatch,
    WriteOptions,
)

from streams.snapshots.doubt import StoreBusy, StoreDamaged, StoreFailed, StoreLocked

MEMORY_BYTES: Final = 8 * 1024 * 1024
"""What RocksDB keeps of writes before it makes a file of them."""

MEMORIES_MAX: Final = 4
"""How many such amounts may wait for that."""

LOG_BYTES_MAX: Final = 64 * 1024 * 1024
"""Size at which a write-ahead log is given up for files."""

BACKGROUND_JOBS_MAX: Final = 2
OPEN_FILES_MAX: Final = 64
INFORMATION_FILES_MAX: Final = 2
INFORMATION_BYTES_MAX: Final = 1024 * 1024

DIRECTORY_MODE: Final = 0o700

_LOCKED: Final = ("lock hold by current process", "Resource temporarily unavailable")
"""RocksDB's words where somebody else has the directory open."""


class Store:
    """Keys and values in order, written in atomic batches. To be used by one thread.

    Args:
        directory: where its files are; nobody else writes there.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._database: Rdict | None = None

    def open(self) -> None:
        """Open it, and make it where there is none; an open one stays as it is.

        Raises:
            StoreLocked: another process has it open.
            StoreDamaged: its files are not what was written.
            StoreFailed: it cannot be opened.
        """
        if self._database is not None:
            return
        with _translated():
            self.directory.mkdir(parents=True, exist_ok=True, mode=DIRECTORY_MODE)
            self._database = Rdict(str(self.directory), _options())

    def close(self) -> None:
        """Close it. What cannot be written any more was a snapshot that nobody has; it is gone.

        Raises:
            StoreFailed: RocksDB could not write what it still had; the store is closed all the same.
        """
        database, self._database = self._database, None
        if database is not None:
            with _translated():
                database.close()

    def destroy(self) -> None:
        """Delete all of it; it is closed afterwards.

        Raises:
            StoreFailed: it cannot be deleted.
        """
        with suppress(StoreFailed):
            self.close()
        with _translated():
            shutil.rmtree(self.directory)

    def get(self, key: bytes) -> bytes | None:
        """The value of a key, None where there is none.

        Raises:
            StoreDamaged: its files are not what was written.
            StoreFailed: it cannot be read.
        """
        with _translated():
            found: bytes | None = self._opened.get(key)
            return found

    def read(self, first: bytes, end: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """At most ``count`` keys and values, from ``first`` up to and without ``end``.

        Raises:
            StoreDamaged: its files are not what was written.
            StoreFailed: it cannot be read.
        """
        with _translated():
            found: list[tuple[bytes, bytes]] = []
            iterator = self._opened.iter(ReadOptions())
            iterator.seek(first)
            while len(found) < count and iterator.valid() and (key := iterator.key()) < end:
                found.append((key, iterator.value()))
                iterator.next()
            iterator.status()
            return found

    def write(
        self, put: Sequence[tuple[bytes, bytes]], clear: Sequence[tuple[bytes, bytes]] = (), drop: Sequence[bytes] = ()
    ) -> None:
        """Write a batch: all of it or nothing.

        Args:
            put: keys and values.
            clear: stretches of keys to delete before, from the first up to and without the second.
            drop: keys to delete before.

        Raises:
            StoreBusy: the disk is behind; nothing was written, and it may be tried again.
            StoreFailed: it cannot be written.
        """
        batch = WriteBatch(raw_mode=True)
        for key in drop:
            batch.delete(key)
        for first, end in clear:
            batch.delete_range(first, end)
        for key, value in put:
            batch.put(key, value)
        with _translated():
            self._opened.write(batch, _write_options())

    @property
    def _opened(self) -> Rdict:
        if self._database is None:
            raise StoreFailed(f"{self.directory} is not open")
        return self._database


def destroy(directory: Path) -> None:
    """Delete a store that nobody has open.

    Raises:
        StoreLocked: somebody has.
        StoreFailed: it cannot be deleted, or is no store.
    """
    with _translated():
        Rdict.destroy(str(directory), _options())


@contextmanager
def _translated() -> Iterator[None]:
    """RocksDB's failures, told apart by its words: it has one class for all of them."""
    try:
        yield
    except StoreFailed:
        raise
    except OSError as error:
        raise StoreFailed(str(error)) from error
    except Exception as error:
        text = str(error)
        raise _kind(text)(text) from error


def _kind(text: str) -> type[StoreFailed]:
    if any(words in text for words in _LOCKED):
        return StoreLocked
    if text.startswith("Corruption"):
        return StoreDamaged
    return StoreBusy if text.startswith("Incomplete") else StoreFailed


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(create_if_missing=True)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    options.set_write_buffer_size(MEMORY_BYTES)
    options.set_max_write_buffer_number(MEMORIES_MAX)
    options.set_max_total_wal_size(LOG_BYTES_MAX)
    options.set_max_background_jobs(BACKGROUND_JOBS_MAX)
    options.set_max_open_files(OPEN_FILES_MAX)
    options.set_keep_log_file_num(INFORMATION_FILES_MAX)
    options.set_max_log_file_size(INFORMATION_BYTES_MAX)
    options.set_stats_dump_period_sec(0)
    options.set_avoid_unnecessary_blocking_io(val=True)
    return options


def _write_options() -> WriteOptions:
    options = WriteOptions()
    options.no_slowdown = True
    return options
