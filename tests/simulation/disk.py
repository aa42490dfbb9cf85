"""Disks: what a worker keeps from one life to the next, and how disks fail.

A batch is written whole or not at all. A process that is killed leaves everything behind that it wrote; a machine that
loses power leaves what was written up to some moment. A disk can be full, slow to answer, or lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from streams.snapshots.doubt import StoreBusy, StoreDamaged, StoreFailed

if TYPE_CHECKING:
    from tests.simulation.process import Process

BUSY_SHARE: Final = 0.02
"""Share of batches that the disk is too busy for."""

BATCHES_LOST_MAX: Final = 8
"""Batches that a loss of power takes back, at most."""

Values = dict[bytes, bytes]


class Disk:
    """What one worker's directory holds.

    Attributes:
        values: keys and values.
        full: nothing can be written.
        written: batches written.
        damaged: the files are not what was written, and the store says so when it is opened.
    """

    def __init__(self) -> None:
        self.values: Values = {}
        self.full = False
        self.damaged = False
        self.written = 0
        self._before: list[Values] = []

    def write(self, values: Values) -> None:
        """Everything is so now."""
        self.written += 1
        self._before = [*self._before[1 - BATCHES_LOST_MAX :], self.values]
        self.values = values

    def lose_power(self, share: float) -> None:
        """The last batches never were."""
        lost = int(share * (len(self._before) + 1))
        if lost:
            self.values = self._before[-lost]
            self._before = self._before[:-lost]

    def lie(self, share: float) -> None:
        """A byte of some value is another one."""
        if self.values:
            key = sorted(self.values)[int(share * len(self.values))]
            value = bytearray(self.values[key])
            if value:
                value[int(share * len(value))] ^= 1 + int(254 * share)
                self.values = {**self.values, key: bytes(value)}


class SimulatedStore:
    """`streams.snapshots.store.Store` on a simulated disk.

    Args:
        process: whose it is.
        directory: its name.
    """

    def __init__(self, process: Process, directory: Path) -> None:
        self.directory = directory
        self._process = process
        self._disk = process.world.disks[process.name]
        self._opened = False

    def open(self) -> None:
        """Open it."""
        if self._disk.damaged:
            raise StoreDamaged("the files are not what was written")
        self._opened = True

    def close(self) -> None:
        """Close it."""
        self._opened = False

    def destroy(self) -> None:
        """Delete all of it."""
        self._opened = self._disk.damaged = False
        self._disk.write({})

    def get(self, key: bytes) -> bytes | None:
        """The value of a key."""
        return self._values().get(key)

    def read(self, first: bytes, end: bytes, count: int) -> list[tuple[bytes, bytes]]:
        """At most ``count`` keys and values of a stretch."""
        values = self._values()
        return [(key, values[key]) for key in sorted(key for key in values if first <= key < end)[:count]]

    def write(
        self, put: Sequence[tuple[bytes, bytes]], clear: Sequence[tuple[bytes, bytes]] = (), drop: Sequence[bytes] = ()
    ) -> None:
        """Write a batch."""
        values = self._values()
        if self._disk.full:
            raise StoreFailed("no space left on the device")
        if self._process.world.scheduler.random.random() < BUSY_SHARE:
            raise StoreBusy("Incomplete: the disk is behind")
        self._process.passes("write snapshot")
        if self._process.link.dead:
            return
        kept = {
            key: value
            for key, value in values.items()
            if key not in drop and not any(first <= key < end for first, end in clear)
        }
        self._disk.write({**kept, **dict(put)})

    def _values(self) -> Values:
        if not self._opened:
            raise StoreFailed(f"{self.directory} is not open")
        return self._disk.values
