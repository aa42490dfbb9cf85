"""Streaming one tenant's rows under one claim: begun when it is due, again after it broke, until it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import structlog

from statemachine.commands import GapFound, Report, StreamFailed, StreamStarted
from statemachine.errors import TenantConnectError
from statemachine.machines import DatabaseHealth
from statemachine.state import TenantState
from streams.catalog.entry import Limits
from streams.effects.means import Means
from streams.effects.unforeseen import OF_THE_LOG
from streams.effects.wanted import Unwanted, entry_of, server_of, wanted
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import StreamOrder
from streams.replication.stream import Stream
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.failure import OperationalCode, Reason, TenantDatabaseFailure

log = structlog.get_logger(__name__)

EFFECT = "effect:stream"


class Holding(NamedTuple):
    """The tenant's connection, as far as there is one.

    Attributes:
        held: set while there is one.
        connection: gives it, None while there is none.
    """

    held: asyncio.Event
    connection: Callable[[], TenantConnection | None]


class StreamWork:
    """Keeps a tenant's stream, and reports what becomes of it.

    Args:
        tenant: whose rows.
        claim: under which they are streamed.
        means: what the work needs.
        report: takes a report and the name of the effect it comes from.
        holding: the tenant's connection.
    """

    def __init__(
        self,
        tenant: str,
        claim: int,
        means: Means,
        report: Callable[[Report, str], None],
        holding: Holding,
    ) -> None:
        self._tenant = tenant
        self._claim = claim
        self._means = means
        self._report = report
        self._holding = holding
        self._state: TenantState | None = None
        self._reported = -1
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._limits: Limits | None = None

    @property
    def resting(self) -> bool:
        """Nothing is streamed and nothing is tried."""
        return self._task is None

    def want(self, state: TenantState) -> None:
        """Stream, from the state's next attempt on; what is streamed already goes on."""
        self._state = state
        self._changed.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._guard())

    def change(self, limits: Limits) -> None:
        """The tenant's bounds on rows are others from now on, for a stream that is being started too."""
        self._limits = limits
        if self._stream is not None:
            self._stream.change(limits)

    async def close(self) -> None:
        """End the stream; what was delivered is remembered first, within a bound."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        stream, self._stream = self._stream, None
        if stream is not None:
            await _finished(stream.close(planned=True))

    async def _guard(self) -> None:
        try:
            while True:
                await self._tried(await self._due())
        except Exception as error:  # noqa: BLE001  a stream that ended unnoticed would be missed by nobody
            self._means.failed(error)

    async def _tried(self, state: TenantState) -> None:
        try:
            await self._attempt(state)
        except OF_THE_LOG:
            raise
        except Exception:
            # An error that nobody thought of is this tenant's, and must not end the work for all the others.
            log.exception("replication.attempt_failed", tenant=self._tenant)
            await self._abandon()
            message = "The stream ended with an error of the service; see its log."
            self._fail(ReplicationFailure(ReplicationCode.START_FAILED, message))

    async def _abandon(self) -> None:
        """End a stream whose error may be in ending it."""
        stream, self._stream = self._stream, None
        try:
            if stream is not None:
                await _finished(stream.close(planned=False))
        except Exception:
            log.exception("replication.not_closed", tenant=self._tenant)

    async def _due(self) -> TenantState:
        """Wait for a state that knows of the last report, and for its next attempt.

        While the database is away none is made: it could but fail, and would put off the one after.
        """
        while True:
            self._changed.clear()
            state = self._state
            wait_s: float | None = None
            if (
                state is not None
                and state.sequence > self._reported
                and state.database is not DatabaseHealth.RECOVERING
            ):
                at = state.next_attempt_at
                wait_s = 0.0 if at is None else (at - self._means.now()).total_seconds()
                if wait_s <= 0:
                    return state
            await _signalled(self._changed, wait_s)

    async def _attempt(self, state: TenantState) -> None:
        try:
            self._stream = await self._open(state)
        except ReplicationFailure as error:
            self._fail(error)
            return
        except Unwanted as error:
            self._reported = state.sequence
            self._report(error.failure, EFFECT)
            return
        except TenantConnectError as error:
            self._fail(ReplicationFailure(ReplicationCode.START_FAILED, str(error)))
            return
        if self._limits is not None:
            self._stream.change(self._limits)
        self._tell(self._stream)
        failure = await self._stream.lost()
        stream, self._stream = self._stream, None
        await _finished(stream.close(planned=False))
        self._fail(failure, stream.resume_point)

    async def _open(self, state: TenantState) -> Stream:
        means = self._means
        self._limits = None
        entry = await entry_of(means, self._tenant)
        await means.fences.ready(self._tenant, self._claim)
        # After a takeover the connection is being opened at the same time; without it the attempt says why.
        await _signalled(self._holding.held, means.limits.connect_ms / 1000)
        order = StreamOrder(
            tenant=self._tenant,
            claim=self._claim,
            database=entry.database,
            limits=entry.limits,
            mode=wanted(entry).mode,
            borrow=self._borrow,
            broadcaster=means.broadcaster,
            positions=means.positions,
            streamed_until=None if state.stream is None else state.stream.at,
            started_claim=None if state.stream is None else state.stream.claim,
            now=means.now,
            observer=means.observer(self._tenant),
            promised_since=state.promised_since,
        )
        async with means.starts.place(server_of(entry.database), self._tenant, first=means.used(self._tenant)):
            return await Stream.open(order, means.streams)

    @asynccontextmanager
    async def _borrow(self) -> AsyncIterator[Any]:
        """Lend a pooled session of the tenant's connection.

        Raises:
            TenantDatabaseFailure: there is none, or it broke.
        """
        connection = self._holding.connection()
        if connection is None:
            reason, code = Reason.UNAVAILABLE, OperationalCode.UNABLE_TO_CONNECT
            raise TenantDatabaseFailure(reason, code, "The tenant's connection is being opened again.")
        async with connection.session() as session:
            yield session

    def _tell(self, stream: Stream) -> None:
        started = stream.started
        log.info("replication.started", tenant=self._tenant, slot=started.slot, backfilled=started.backfilled)
        report = StreamStarted(
            started.slot,
            started.mode,
            started.resumed_from,
            started.system_identifier,
            started.timeline,
            started.backfilled,
            started.delivers_from_lsn,
        )
        self._report(report, EFFECT)
        gap = started.gap
        if gap is not None:
            log.warning("replication.gap", tenant=self._tenant, cause=gap.cause)
            self._report(GapFound(gap.from_lsn, gap.to_lsn, gap.cause, gap.recovered_by), EFFECT)

    def _fail(self, failure: ReplicationFailure, resume_point: str | None = None) -> None:
        log.warning("replication.failed", tenant=self._tenant, code=failure.code, error=str(failure))
        self._reported = -1 if self._state is None else self._state.sequence
        chance = self._means.chance.random()
        self._report(StreamFailed(failure.code, str(failure), resume_point, failure.blocked_by, chance), EFFECT)


async def forget_point(means: Means, tenant: str) -> None:
    """Remove the point from which the rows of a tenant that is no more were to be resumed.

    It stays where Kafka does not take that: it says which rows were delivered, and holds nothing in the database.
    """
    try:
        await means.positions.remove(tenant)
    except TenantConnectError as error:
        log.warning("replication.point_not_removed", tenant=tenant, code=error.code, error=str(error))


async def _finished(closing: Coroutine[Any, Any, None]) -> None:
    """Wait for the end of what is being closed, cancelled or not: whoever cancels relies on it that nothing is left."""
    task = asyncio.get_running_loop().create_task(closing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _signalled(event: asyncio.Event, wait_s: float | None) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
