"""A tenant's stream: opened, running, and lost or closed; never mended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Self

import structlog

from statemachine.state import ReplicationMode
from streams.catalog.entry import Limits
from streams.errors import DeliveryFailed, RuntimeFailure
from streams.replication.backlog import Backlog
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.intake import Intake
from streams.replication.leaving import within
from streams.replication.order import Started, StreamLimits, StreamOrder
from streams.replication.preparation import Prepared, end_session, prepare
from streams.replication.proving import Proving
from streams.replication.pump import Pump
from streams.replication.refusals import Refusals
from streams.replication.sending import Receipts, Sender
from streams.replication.watchdog import Watchdog
from streams.tenantdb.naming import PUBLICATION
from streams.wire.lsn import lsn_text

log = structlog.get_logger(__name__)


class Stream:
    """One incarnation of a stream under one claim; `open` makes it.

    Attributes:
        started: what it began with.
    """

    started: Started

    def __init__(self, order: StreamOrder, limits: StreamLimits, prepared: Prepared) -> None:
        refusals = Refusals(order.tenant, order.observer)
        receipts = Receipts(order, refusals)
        self._order = order
        self._limits = limits
        self._prepared = prepared
        self._lost: asyncio.Future[ReplicationFailure] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False
        self._outbox = order.broadcaster.open(order.tenant, receipts)
        self._sender = Sender(order, self._outbox, refusals)
        self._proving = Proving(order, limits, prepared, self._outbox, self._sender)
        self._pump = Pump(
            prepared.session,
            Intake(order.tenant, self._sender, self._outbox),
            self._outbox,
            order.database,
            limits,
            sender_timeout_ms=prepared.sender_timeout_ms,
            broke=self._break,
        )
        receipts.moved = self._pump.moved

    @classmethod
    async def open(cls, order: StreamOrder, limits: StreamLimits | None = None) -> Self:
        """Deliver what is due from before, and begin to stream.

        Args:
            order: what is asked for.
            limits: bounds, default `StreamLimits()`.

        Raises:
            ReplicationFailure: rows cannot be streamed now; nothing is left behind.
        """
        bounds = limits or StreamLimits()
        prepared = await prepare(order, bounds)
        stream: Self | None = None
        try:
            stream = cls(order, bounds, prepared)
            await stream._begin()
        except BaseException as error:
            if stream is not None:
                stream._stop()
            await end_session(order, bounds, prepared.session)
            if isinstance(error, RuntimeFailure) and not isinstance(error, ReplicationFailure):
                raise ReplicationFailure(ReplicationCode.START_FAILED, str(error)) from error
            raise
        return stream

    @property
    def resume_point(self) -> str | None:
        """LSN of the last resume point that was written, None where none was."""
        written = self._proving.written
        return None if written is None else lsn_text(written.lsn)

    def change(self, limits: Limits) -> None:
        """Judge rows by other limits from now on."""
        self._sender.change(limits)

    async def lost(self) -> ReplicationFailure:
        """Wait until the stream breaks, and say why; a stream that is closed never does."""
        return await asyncio.shield(self._lost)

    async def close(self, *, planned: bool) -> None:
        """End the session, and its slot with it; raises nothing but cancellation. Closed again, it does nothing.

        Args:
            planned: first prove and write a last resume point, where that takes no longer than `planned_stop_ms`.
        """
        if self._closed:
            return
        self._closed = True
        self._end_tasks()
        try:
            if planned and self._order.mode is ReplicationMode.DURABLE and not self._lost.done():
                await self._write_last_point()
        finally:
            self._stop()
            await end_session(self._order, self._limits, self._prepared.session)

    async def _begin(self) -> None:
        order, limits, prepared = self._order, self._limits, self._prepared
        caught = await Backlog(order, limits, prepared, self._outbox, self._sender).catch_up()
        if order.mode is ReplicationMode.DURABLE and caught.gap is None:
            await self._proving.write(caught.point)
        await prepared.session.start(prepared.slot.name, PUBLICATION)
        self._pump.start()
        self._outbox.failure.add_done_callback(lambda failed: self._undeliverable(failed.result()))
        self._watch(Watchdog(order, limits, prepared.slot.name, self._pump).run)
        if order.mode is ReplicationMode.DURABLE:
            self._watch(partial(self._proving.run, 0 if caught.gap is None else limits.gap_settle_ms))
        self.started = Started(
            slot=prepared.slot.name,
            mode=order.mode,
            resumed_from=None if caught.resumed_from is None else lsn_text(caught.resumed_from),
            system_identifier=prepared.system.identifier,
            timeline=prepared.system.timeline,
            backfilled=caught.rows,
            delivers_from_lsn=lsn_text(prepared.slot.consistent_point),
            gap=caught.gap,
        )

    async def _write_last_point(self) -> None:
        try:
            await within(self._limits.planned_stop_ms, self._proving.refresh(at_once=True))
        except (TimeoutError, RuntimeFailure) as error:
            reason = str(error) or f"it was not proved within {self._limits.planned_stop_ms} ms"
            log.warning("replication.last_point_not_written", tenant=self._order.tenant, error=reason)

    def _watch(self, work: Callable[[], Awaitable[ReplicationFailure | None]]) -> None:
        task = asyncio.get_running_loop().create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Callable[[], Awaitable[ReplicationFailure | None]]) -> None:
        try:
            failure = await work()
        except Exception as error:
            log.exception("replication.watching_failed", tenant=self._order.tenant)
            failure = ReplicationFailure(ReplicationCode.CONNECTION_DOWN, f"Watching the stream failed: {error}")
        if failure is not None:
            self._break(failure)

    def _undeliverable(self, error: DeliveryFailed) -> None:
        self._break(ReplicationFailure(ReplicationCode.CONNECTION_DOWN, str(error)))

    def _break(self, failure: ReplicationFailure) -> None:
        if not self._closed and not self._lost.done():
            self._lost.set_result(failure)
            self._pump.stop()
            self._end_tasks()

    def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _stop(self) -> None:
        self._closed = True
        self._pump.stop()
        self._end_tasks()
        self._outbox.close()
