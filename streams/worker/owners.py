"""The partitions of a worker, from being claimed to being let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import structlog

from streams.errors import OwnershipLost
from streams.registry.partition import OwnedPartition
from streams.worker.office import Office
from streams.worker.owner import PartitionOwner
from streams.worker.places import place_of
from streams.worker.run import Run

log = structlog.get_logger(__name__)


class Owners:
    """An owner per partition that this worker holds.

    Args:
        office: what the owners share.
    """

    def __init__(self, office: Office) -> None:
        self._office = office
        self._owners: dict[int, PartitionOwner] = {}
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions held now."""
        return tuple(sorted(self._owners))

    def all(self) -> tuple[PartitionOwner, ...]:
        """The owners of the partitions held now."""
        return tuple(self._owners.values())

    def take(self, partition: OwnedPartition) -> None:
        """The partition was claimed and recovered: carry on with its tenants."""
        owner = PartitionOwner(partition, self._office)
        self._owners[owner.number] = owner
        log.info("partition.claimed", partition=owner.number, claim=partition.claim.offset)
        owner.start()

    async def drop(self, number: int) -> None:
        """The partition is another worker's: stop deciding at once, close its connections in the background."""
        owner = self._owners.pop(number)
        await owner.release()
        log.info("partition.released", partition=number)
        task = asyncio.get_running_loop().create_task(self._office.effects.forget(owner))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def reconsider(self, tenant: str) -> None:
        """The tenant's catalog entry is another one."""
        owner = self._owners.get(place_of(tenant, self._office.partitions))
        if owner is not None:
            owner.reconsider(tenant)

    def users_changed(self, tenant: str) -> None:
        """The first user of a tenant came, or the last one left."""
        owner = self._owners.get(place_of(tenant, self._office.partitions))
        if owner is not None:
            owner.attendance.look(owner.state(tenant))

    def look(self) -> None:
        """Look at the users of every tenant."""
        for owner in list(self._owners.values()):
            for state in owner.tenants:
                owner.attendance.look(state)

    def reconnect(self) -> None:
        """Connect the tenants that are used and have no connection."""
        for owner in list(self._owners.values()):
            owner.attendance.reconnect()

    def decide(self, run: Run) -> Awaitable[None]:
        """Hand a run of commands to its partition's owner.

        Raises (when awaited):
            OwnershipLost: this worker does not hold the partition.
        """
        owner = self._owners.get(run.partition)
        return _refused(run) if owner is None or owner.partition.lost.is_set() else owner.take(run)

    async def settle(self) -> None:
        """Wait until the connections of all dropped partitions are closed."""
        await asyncio.gather(*self._closing)


async def _refused(run: Run) -> None:
    raise OwnershipLost(f"{run.topic}:{run.partition} is not held by this worker")
