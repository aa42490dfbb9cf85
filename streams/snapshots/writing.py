"""Writing: a snapshot brought to the disk batch by batch, with rests between, so that commands hardly notice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, TypeVar

import structlog

from streams.snapshots.disk import Disk
from streams.snapshots.doubt import StoreBusy, StoreFailed
from streams.snapshots.outcome import Counted, Outcome
from streams.snapshots.shelf import Filling
from streams.snapshots.snapshot import Snapshot

log = structlog.get_logger(__name__)

SHARE_MAX: Final = 0.01
"""Share of a processor that writing may take while the worker works: after each batch it rests as long as that takes.
Most of a batch is done under the interpreter's lock, so this is also the most that commands lose."""

BUSY_REST_S: Final = 0.1
BUSY_TRIES_MAX: Final = 100
"""How often a batch is tried while the disk is behind, and how long it is left alone between."""

T = TypeVar("T")


class Writing:
    """Writes snapshots, one at a time.

    Args:
        disk: where they go.
        counted: told of what becomes of snapshots.
    """

    def __init__(self, disk: Disk, counted: Counted) -> None:
        self._disk = disk
        self._counted = counted
        self._partition: int | None = None

    def abandon(self, partition: int) -> None:
        """Write nothing more of a partition's snapshot, if one is being written; the other slot has the one before."""
        if self._partition == partition:
            self._partition = None

    async def write(self, snapshot: Snapshot, *, rests: bool) -> bool:
        """Write a snapshot; whether the disk has it, or one as new. A failure is told to the disk.

        Args:
            snapshot: what is written.
            rests: whether to leave the processor to others.
        """
        self._partition = snapshot.partition
        begun = time.monotonic()
        try:
            await self._disk.ready()
            filling = await self._disk.do(self._disk.shelf.fill, snapshot)
            if filling is None:
                return True
            if not await self._fill(filling, rests=rests):
                return False
        except StoreFailed as error:
            self._disk.failed("writing", error)
            return False
        finally:
            self._partition = None
        self._counted(Outcome.WRITTEN)
        where = {"partition": snapshot.partition, "offset": snapshot.folded}
        log.debug("snapshot.written", **where, states=filling.states, seconds=round(time.monotonic() - begun, 3))
        return True

    async def _fill(self, filling: Filling, *, rests: bool) -> bool:
        """Write batch by batch; whether all of them are written."""
        whole = False
        while not whole:
            if self._partition != filling.snapshot.partition:
                return False
            whole, took_s = await self._step(filling)
            await asyncio.sleep(took_s * (1 / SHARE_MAX - 1) if rests and not whole else 0)
        await self._disk.do(self._disk.shelf.was_filled, filling)
        return True

    async def _step(self, filling: Filling) -> tuple[bool, float]:
        for _ in range(BUSY_TRIES_MAX):
            try:
                return await self._disk.do(_timed, filling.step)
            except StoreBusy:
                await asyncio.sleep(BUSY_REST_S)
        raise StoreFailed(f"the disk stayed behind for {BUSY_TRIES_MAX * BUSY_REST_S:.0f} s")


def _timed(act: Callable[[], T]) -> tuple[T, float]:
    """What ``act`` gives, and the processor time that it took, in seconds."""
    begun = time.thread_time()
    return act(), time.thread_time() - begun
