"""Resume points while rows are streamed: taken, proved, and only then written."""

from __future__ import annotations

import asyncio

import structlog

from streams.errors import RuntimeFailure
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.outbox import Outbox
from streams.replication.preparation import Prepared, borrowed
from streams.replication.sending import Sender
from streams.tenantdb.horizon import flush, horizon
from streams.wire.position import ResumePoint

log = structlog.get_logger(__name__)


class Proving:
    """Keeps a stream's resume point fresh.

    A point is taken with a snapshot: every transaction below its xmin has ended, and has its commit before the LSN that
    the WAL had come to. Once the stream has delivered everything up to that LSN, the point holds.

    Args:
        order: whose.
        limits: how often.
        prepared: the session and its slot.
        outbox: knows what is delivered.
        sender: knows whether anything was sent.

    Attributes:
        written: the last point that was written, None before the first.
    """

    def __init__(
        self, order: StreamOrder, limits: StreamLimits, prepared: Prepared, outbox: Outbox, sender: Sender
    ) -> None:
        self.written: ResumePoint | None = None
        self._order = order
        self._limits = limits
        self._prepared = prepared
        self._outbox = outbox
        self._sender = sender
        self._rows = 0

    async def run(self, settle_ms: int) -> None:
        """Write a point at each interval in which rows were sent, and rarely otherwise; ends with the outbox.

        Args:
            settle_ms: how long to write none at first.
        """
        loop = asyncio.get_running_loop()
        await asyncio.sleep(settle_ms / 1000)
        due_at = loop.time() + self._limits.position_idle_interval_ms / 1000 if self.written else loop.time()
        while not self._outbox.failure.done():
            await asyncio.sleep(self._limits.position_interval_ms / 1000)
            if self._sender.rows == self._rows and loop.time() < due_at:
                continue
            try:
                await self.refresh()
            except RuntimeFailure as error:
                log.warning("replication.point_not_written", tenant=self._order.tenant, error=str(error))
            due_at = loop.time() + self._limits.position_idle_interval_ms / 1000

    async def refresh(self, *, at_once: bool = False) -> None:
        """Take a point, wait until the stream has proved it, and write it.

        Args:
            at_once: have the server write its WAL now; it would by itself within seconds.

        Raises:
            ReplicationFailure: the server could not be asked, or is not the one that streams.
            DeliveryFailed: the stream has ended, or Kafka did not acknowledge the point.
            OwnershipLost: the tenant is another worker's.
            WaitExpired: Kafka did not answer in time.
        """
        rows = self._sender.rows
        slot, sender = self._prepared.slot.name, self._prepared.session.backend_pid
        async with borrowed(self._order) as session:
            moment = await horizon(session, self._order.database, slot=slot, sender=sender)
            if not moment.streamed:
                message = f"The slot {slot} is not streamed from by pid {sender} on the server that was asked."
                raise ReplicationFailure(ReplicationCode.SLOT_NOT_ALIVE, message)
            if at_once:
                await flush(session, self._order.database)
        await self._outbox.reached(moment.lsn)
        order, system = self._order, self._prepared.system
        await self.write(
            ResumePoint(
                order.tenant, order.claim, moment.xmin, moment.lsn, system.identifier, system.timeline, moment.at
            )
        )
        self._rows = rows

    async def write(self, point: ResumePoint) -> None:
        """Write a point that is proved; raises as `refresh`."""
        await self._order.positions.write(point)
        self.written = point
