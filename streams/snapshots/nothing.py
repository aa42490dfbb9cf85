"""No snapshots: for a worker that is told to keep none, and for tests of what has nothing to do with them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from statemachine.partition import PartitionState
from streams.snapshots.snapshot import Snapshot


class NoSnapshots:
    """Has the methods of `Snapshots` and keeps nothing."""

    async def open(self) -> None:
        """There is nothing to open."""

    async def load(self, partitions: Iterable[int]) -> Mapping[int, PartitionState]:  # noqa: ARG002  see `Snapshots`
        """None: the whole log is folded."""
        return {}

    def release(self, snapshot: Snapshot) -> None:
        """It is gone."""

    def distrust(self, partition: int) -> bool:  # noqa: ARG002  see `Snapshots`
        """No state came from a snapshot."""
        return False

    async def run(self, source: object) -> None:  # noqa: ARG002  see `Snapshots`
        """Nothing is ever due."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """There is nothing to close."""
