"""Everything before the first row: leftovers ended, the publication there, a session, a slot that begins somewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from streams.replication.failure import ReplicationCode, ReplicationFailure, setup_failure
from streams.replication.leaving import within
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.session import MadeSlot, ReplicationSession, System
from streams.tenantdb.failure import TenantDatabaseFailure, target
from streams.tenantdb.naming import replication_session_name, slot_name
from streams.tenantdb.publication import Publication, ensure_publication
from streams.tenantdb.slot import free_slot
from streams.tenantdb.walsender import Backend, blocker_of, clear_leftovers, end_backend, log_standby_snapshot

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A session with its slot, before anything is streamed.

    Attributes:
        session: must get no other command than to start, for as long as the slot's snapshot is needed.
        system: which server it is.
        history: the server's timeline history, as it has it.
        slot: where the stream begins.
        sender_timeout_ms: after so many milliseconds of silence the server ends the session; 0 for never.
    """

    session: ReplicationSession
    system: System
    history: str
    slot: MadeSlot
    sender_timeout_ms: int


@asynccontextmanager
async def borrowed(order: StreamOrder) -> AsyncIterator[Any]:
    """A pooled session for the block.

    Raises:
        ReplicationFailure: there was none to be had, or a statement failed.
    """
    try:
        async with order.borrow() as session:
            yield session
    except TenantDatabaseFailure as error:
        raise setup_failure(error, order.database, "Using a pooled session") from error


async def prepare(order: StreamOrder, limits: StreamLimits) -> Prepared:
    """Come as far as a slot; leaves nothing behind where it does not.

    Raises:
        ReplicationFailure: something failed or stands in the way.
    """
    await _clear_the_way(order, limits)
    session = await ReplicationSession.open(
        order.database,
        application_name=replication_session_name(order.claim),
        connect_ms=limits.session.connect_ms,
        setup_ms=limits.setup_ms,
    )
    try:
        system = await session.identify()
        history = await session.timeline_history(system.timeline)
        timeout_ms = int(await session.setting("wal_sender_timeout"))
        slot = await _slot(order, limits, session)
    except BaseException:
        await end_session(order, limits, session)
        raise
    return Prepared(session, system, history, slot, timeout_ms)


async def end_session(order: StreamOrder, limits: StreamLimits, session: ReplicationSession) -> None:
    """Close a session, and see to it that the server has ended it, its slot included; raises nothing but cancellation.

    A backend that waits for a transaction does not notice that its client has gone. What is not ended within the bounds
    ends by itself, at the latest when the tenant's lock is taken over.
    """
    session.close()
    backend = Backend(session.backend_pid, replication_session_name(order.claim))

    async def end() -> None:
        async with order.borrow() as sql:
            await end_backend(sql, order.database, backend, limits.clear_ms)

    try:
        await within(limits.clear_ms + limits.session.close_ms, end())
    except (TenantDatabaseFailure, TimeoutError) as error:
        reason = str(error) or "no answer in time"
        log.warning("replication.session_not_ended", tenant=order.tenant, backend=str(backend), error=reason)


async def _clear_the_way(order: StreamOrder, limits: StreamLimits) -> None:
    name = slot_name(order.tenant)
    async with borrowed(order) as sql:
        left = await clear_leftovers(
            sql, order.database, slot=name, claim=order.claim, wait_ms=limits.clear_ms
        ) or await free_slot(sql, order.database, name)
        if left is not None:
            message = f"A session streams already from {target(order.database)}: {left}. End it, or wait for its end."
            raise ReplicationFailure(ReplicationCode.SLOT_IN_USE, message, blocked_by=str(left))
        became = await ensure_publication(sql, order.database, limits.setup_ms)
    if became is Publication.RECREATED:
        log.warning("replication.publication_recreated", tenant=order.tenant)


async def _slot(order: StreamOrder, limits: StreamLimits, session: ReplicationSession) -> MadeSlot:
    """Make the slot; the longer that takes, the more is done about it."""
    making = asyncio.create_task(session.make_slot(slot_name(order.tenant)))
    blocker: str | None = None
    try:
        while not (await asyncio.wait({making}, timeout=limits.blocker_look_ms / 1000))[0]:
            blocker = await _look(order, session.backend_pid)
        return making.result()
    except ReplicationFailure as failure:
        if blocker is None:
            raise
        message = f"{failure} It waited for {blocker}."
        raise ReplicationFailure(ReplicationCode(failure.code), message, blocked_by=blocker) from failure
    finally:
        making.cancel()
        await asyncio.gather(making, return_exceptions=True)


async def _look(order: StreamOrder, pid: int) -> str | None:
    """Who keeps the slot from being made; where nobody does, the server is told to go on."""
    async with borrowed(order) as sql:
        blocker = await blocker_of(sql, order.database, pid)
        if blocker is None:
            await log_standby_snapshot(sql, order.database)
    return blocker
