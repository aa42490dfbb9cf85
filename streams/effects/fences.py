"""What is written before a partition's rows are streamed, once for each claim."""

from __future__ import annotations

import asyncio

from streams.errors import OwnershipLost
from streams.replication.positions import Positions
from streams.worker.places import place_of


class Fences:
    """Writes a partition's fence at the first stream under a claim; the others wait for it.

    Args:
        positions: the points to resume from, which the fences stand among.
        partitions: number of partitions.
    """

    def __init__(self, positions: Positions, partitions: int) -> None:
        self._positions = positions
        self._partitions = partitions
        self._written: dict[int, tuple[int, asyncio.Task[None]]] = {}

    async def ready(self, tenant: str, claim: int) -> None:
        """Wait until the fence of the tenant's partition stands under ``claim``; one that failed is tried again.

        Raises:
            OwnershipLost: this worker has the partition under a newer claim by now.
            TenantConnectError: it could not be written, or the points before it could not be read.
        """
        partition = place_of(tenant, self._partitions)
        written = self._written.get(partition)
        if written is not None and written[0] > claim:
            # Work under the older claim is still being ended; it must not take the points away from the newer one's.
            raise OwnershipLost(f"partition {partition} is held under claim {written[0]} by now, not {claim}")
        if written is None or written[0] != claim or (written[1].done() and written[1].exception() is not None):
            task = asyncio.get_running_loop().create_task(self._positions.fence(partition, claim))
            task.add_done_callback(_look)
            written = self._written[partition] = (claim, task)
        await asyncio.shield(written[1])

    def forget(self, partition: int, claim: int) -> None:
        """The partition is let go of: forget its points, unless this worker has it again under a newer claim."""
        written = self._written.get(partition)
        if written is not None and written[0] == claim:
            del self._written[partition]
            self._positions.forget(partition)


def _look(task: asyncio.Task[None]) -> None:
    """Whoever waited may be gone by then; the failure is theirs, and nobody else's."""
    if not task.cancelled():
        task.exception()
