"""Looks after a stream that says nothing: does it live, and does its slot?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog

from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.preparation import borrowed
from streams.replication.pump import Pump
from streams.tenantdb.failure import target
from streams.tenantdb.slot import SlotHealth, slot_health

FINDINGS: Final[Mapping[SlotHealth, tuple[ReplicationCode, str]]] = MappingProxyType(
    {
        SlotHealth.MISSING: (ReplicationCode.SLOT_NOT_ALIVE, "is not there any more, or its WAL was taken away"),
        SlotHealth.INACTIVE: (ReplicationCode.SLOT_NOT_ALIVE, "is not streamed from any more"),
        SlotHealth.LAGGING: (
            ReplicationCode.SLOT_LAG_TOO_HIGH,
            "is behind by more than half of max_slot_wal_keep_size; see that Kafka takes the rows, or raise it",
        ),
    }
)
"""What each state of a slot but the good one means."""

log = structlog.get_logger(__name__)


class Watchdog:
    """Looks at a stream and its slot in turn.

    Args:
        order: whose stream.
        limits: how often, and how long an answer may take.
        slot: its slot's name.
        pump: reads it.
    """

    def __init__(self, order: StreamOrder, limits: StreamLimits, slot: str, pump: Pump) -> None:
        self._order = order
        self._limits = limits
        self._slot = slot
        self._pump = pump

    async def run(self) -> ReplicationFailure:
        """Look, the next time only after the look before has ended; return what was found to be wrong."""
        while True:
            await asyncio.sleep(self._limits.watchdog_interval_ms / 1000)
            failure = await self._hear() or await self._look()
            if failure is not None:
                return failure

    async def _hear(self) -> ReplicationFailure | None:
        """Ask the server for a sign of life; while reading waits for Kafka none could be read."""
        if self._cannot_hear():
            return None
        heard = self._pump.heard
        heard.clear()
        self._pump.tell(reply=True)
        try:
            async with asyncio.timeout(self._limits.watchdog_timeout_ms / 1000):
                await heard.wait()
        except TimeoutError:
            if self._cannot_hear():
                return None
            message = f"{target(self._order.database)} did not answer within {self._limits.watchdog_timeout_ms} ms."
            return ReplicationFailure(ReplicationCode.WATCHDOG_TIMEOUT, message)
        return None

    def _cannot_hear(self) -> bool:
        return self._pump.waiting

    async def _look(self) -> ReplicationFailure | None:
        try:
            async with borrowed(self._order) as session:
                found = FINDINGS.get(await slot_health(session, self._order.database, self._slot))
        except ReplicationFailure as failure:
            log.warning("replication.slot_not_looked_at", tenant=self._order.tenant, error=str(failure))
            return None
        if found is None:
            return None
        code, what = found
        return ReplicationFailure(code, f"The slot {self._slot} on {target(self._order.database)} {what}.")
