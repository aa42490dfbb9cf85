"""Rows that were written while nobody streamed: read back from the table under the slot's snapshot, and delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from statemachine.state import ReplicationMode
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.outbox import Outbox
from streams.replication.preparation import Prepared, borrowed
from streams.replication.resume import ByTime, FromPoint, Gap, Known, Plan, Server, ended_timelines, plan, rewritten
from streams.replication.rows import row_of
from streams.replication.sending import Sender
from streams.tenantdb.backfill import Batch, Reading, reading
from streams.wire.lsn import lsn_text
from streams.wire.position import ResumePoint


@dataclass(frozen=True, slots=True)
class Caught:
    """What came of it: all that was committed before the slot's beginning is delivered, but for the gap.

    Attributes:
        rows: that were read back and sent.
        resumed_from: the LSN that was trusted, None where none was.
        gap: a loss that cannot be excluded.
        point: from which to resume, if nothing is streamed after all.
    """

    rows: int
    resumed_from: int | None
    gap: Gap | None
    point: ResumePoint


class Backlog:
    """Reads rows back and sends them.

    Args:
        order: whose rows.
        limits: how much at a time, and how long Kafka may take.
        prepared: the slot whose snapshot they are read under.
        outbox: where they go.
        sender: sends them.
    """

    def __init__(
        self, order: StreamOrder, limits: StreamLimits, prepared: Prepared, outbox: Outbox, sender: Sender
    ) -> None:
        self._order = order
        self._limits = limits
        self._prepared = prepared
        self._outbox = outbox
        self._sender = sender
        self._ordinal = 0
        self._unexpected = False

    async def catch_up(self) -> Caught:
        """Deliver all that is due; it is acknowledged by Kafka when this returns.

        Raises:
            ReplicationFailure: rows could not be read, or Kafka did not take them in time.
            DeliveryFailed: Kafka refuses them.
            OwnershipLost: it is not for this worker to know the tenant's resume point.
        """
        prepared = self._prepared
        snapshot, setup_ms = prepared.slot.snapshot, self._limits.setup_ms
        async with (
            borrowed(self._order) as session,
            reading(session, self._order.database, snapshot, setup_ms) as under,
        ):
            server = self._server(under)
            due = self._plan(server)
            await self._read(under, due)
        await self._acknowledged()
        resume, gap = due.resume, due.gap
        lsn = resume.lsn if isinstance(resume, FromPoint) else None
        if self._unexpected and lsn is not None:
            gap = rewritten(lsn, server)
        point = ResumePoint(
            self._order.tenant,
            self._order.claim,
            under.facts.xmin,
            prepared.slot.consistent_point,
            server.system_identifier,
            server.timeline,
            under.facts.at,
        )
        return Caught(self._sender.rows, lsn, gap, point)

    def _server(self, under: Reading) -> Server:
        system = self._prepared.system
        return Server(
            system.identifier,
            system.timeline,
            ended_timelines(self._prepared.history),
            self._prepared.slot.consistent_point,
            under.facts.next_xid,
            under.facts.at,
        )

    def _plan(self, server: Server) -> Plan:
        order, limits = self._order, self._limits
        known = Known()
        if order.mode is ReplicationMode.DURABLE:
            point = order.positions.point(order.tenant)
            known = Known(point, order.streamed_until, order.started_claim, order.promised_since)
        return plan(
            known,
            server,
            retention=timedelta(milliseconds=limits.retention_ms),
            overlap=timedelta(milliseconds=limits.overlap_ms),
        )

    async def _read(self, under: Reading, due: Plan) -> None:
        batch = Batch(self._limits.backfill_rows, self._limits.backfill_bytes, self._sender.payload_bytes_max)
        resume = due.resume
        if isinstance(resume, FromPoint):
            rows = under.since_transaction(resume.xmin, resume.at, batch)
        elif isinstance(resume, ByTime):
            rows = under.since_time(resume.since, batch)
        else:
            return
        async with aclosing(rows):
            async for found in rows:
                for row in found:
                    await self._send(row)

    async def _send(self, row: Any) -> None:
        """Send one row; they have no place in the WAL of their own, so they stand right before the slot's beginning.

        A commit may stand at the beginning itself, and no two rows of a tenant have the same place.
        """
        if self._outbox.full:
            await self._moved(self._outbox.room())
        elif self._ordinal % self._limits.turn_messages == 0:
            await asyncio.sleep(0)
        lsn = self._prepared.slot.consistent_point - 1
        self._unexpected |= row["unexpected"]
        self._sender.send(row_of(row), lsn, lsn_text(lsn), self._ordinal, None)
        self._ordinal += 1

    async def _acknowledged(self) -> None:
        lsn = self._prepared.slot.consistent_point
        self._outbox.seal(lsn)
        await self._moved(self._outbox.reached(lsn))

    async def _moved(self, outbox: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._limits.stall_ms / 1000):
                await outbox
        except TimeoutError as error:
            message = f"Kafka did not take the rows that were read back within {self._limits.stall_ms} ms."
            raise ReplicationFailure(ReplicationCode.START_FAILED, message) from error
