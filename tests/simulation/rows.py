"""Rows of tenants, the streams that carry them, and who reads the broadcasts.

The stream is simulated, for it is a conversation with PostgreSQL; what is real is all around it: when it is begun and
ended, the fences and resume points under which it may begin, and the events that tell of it. A row is a number: the
tenant's first row is 0. Readers of broadcasts drop what an older claim sends once they saw a newer one.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self

import asyncpg

from statemachine.state import ReplicationMode
from streams.errors import RuntimeFailure
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.order import Started, StreamLimits, StreamOrder
from streams.tenantdb.failure import DRIVER_ERRORS, TenantDatabaseFailure
from streams.tenantdb.naming import replication_session_name, slot_name
from streams.wire.lsn import lsn_text
from streams.wire.position import ResumePoint
from tests.simulation.broker import Stored
from tests.simulation.loop import here
from tests.simulation.postgres import Session

if TYPE_CHECKING:
    from tests.simulation.world import World

COMMIT_S: Final = 0.4
"""Longest time between two commits in the world."""

LOOK_S: Final = 0.25
"""How often a stream looks for new rows."""

POINT_SHARE: Final = 0.3
"""Share of looks after which a resume point is written."""

PLANNED_STOP_S: Final = 0.5
"""How long a planned stop may take to write a last resume point."""

SYSTEM: Final = "7"


class Rows:
    """All rows there are, and those that readers of broadcasts have.

    Args:
        world: where they are.

    Attributes:
        committed: how many rows each tenant has.
        delivered: the rows that count, by tenant.
        dropped: how many were dropped for their claim.
    """

    def __init__(self, world: World) -> None:
        self.committed: defaultdict[str, int] = defaultdict(int)
        self.delivered: defaultdict[str, set[int]] = defaultdict(set)
        self.dropped = 0
        self._newest: dict[int, int] = {}
        self._world = world

    def __str__(self) -> str:
        return "rows"

    def commit(self) -> None:
        """Somebody commits a row, and again later."""
        chance = self._world.scheduler.random
        self.committed[chance.choice(self._world.tenants)] += 1
        self._world.scheduler.after(COMMIT_S * chance.random(), self.commit)

    def broadcast(self, stored: Stored) -> None:
        """A broadcast was appended."""
        assert stored.value is not None
        tenant, row, claim = json.loads(stored.value)
        newest = self._newest[stored.partition] = max(claim, self._newest.get(stored.partition, -1))
        if claim < newest:
            self.dropped += 1
        else:
            self.delivered[tenant].add(row)

    def missing(self, tenant: str) -> list[int]:
        """Rows that were committed and never delivered."""
        return [row for row in range(self.committed[tenant]) if row not in self.delivered[tenant]]


class SimulatedStream:
    """A tenant's stream, as `streams.effects.streaming` uses it; `open` makes it.

    Attributes:
        started: what it began with.
        resume_point: LSN of the last resume point that was written.
    """

    started: Started

    def __init__(self, order: StreamOrder, session: Session) -> None:
        self.resume_point: str | None = None
        self._order = order
        self._session = session
        self._process = here()
        self._lost: asyncio.Future[ReplicationFailure] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None
        self._next = 0
        session.add_termination_listener(self._ended)

    @classmethod
    async def open(cls, order: StreamOrder, _limits: StreamLimits) -> Self:
        """Begin to stream behind what is known to be delivered.

        Raises:
            ReplicationFailure: rows cannot be streamed now.
        """
        try:
            async with order.borrow() as sql:
                await sql.ask(lambda: None)
            session = await asyncpg.connect(
                host=order.database.host,
                database=order.database.name,
                server_settings={"application_name": replication_session_name(order.claim)},
                timeout=1.5,
            )
        except (TenantDatabaseFailure, *DRIVER_ERRORS) as error:
            raise ReplicationFailure(ReplicationCode.CONNECTION_TIMEOUT, str(error)) from error
        stream = cls(order, session)
        try:
            await stream._begin()
        except BaseException as error:
            session.terminate()
            if isinstance(error, (RuntimeFailure, *DRIVER_ERRORS)):
                raise ReplicationFailure(ReplicationCode.START_FAILED, str(error)) from error
            raise
        return stream

    async def lost(self) -> ReplicationFailure:
        """Wait until it breaks."""
        return await asyncio.shield(self._lost)

    async def close(self, *, planned: bool) -> None:
        """End it; with a last resume point where that was planned."""
        if self._task is not None:
            self._task.cancel()
        try:
            if planned and not self._lost.done() and self._durable:
                with suppress(RuntimeFailure, TimeoutError):
                    async with asyncio.timeout(PLANNED_STOP_S):
                        await self._write_point()
        finally:
            self._session.terminate()

    @property
    def _durable(self) -> bool:
        return self._order.mode is ReplicationMode.DURABLE

    @property
    def _rows(self) -> Rows:
        return self._process.world.rows

    async def _begin(self) -> None:
        order = self._order
        point = order.positions.point(order.tenant) if self._durable else None
        if not self._durable:
            self._next = self._rows.committed[order.tenant]
        elif point is not None and point.claim >= (order.started_claim or 0):
            self._next = point.lsn
        resumed_from = None if point is None else lsn_text(point.lsn)
        backfilled = await self._deliver()
        if self._durable:
            await self._write_point()
        self.started = Started(
            slot=slot_name(order.tenant),
            mode=order.mode,
            resumed_from=resumed_from,
            system_identifier=SYSTEM,
            timeline=1,
            backfilled=backfilled,
            delivers_from_lsn=lsn_text(self._next),
            gap=None,
        )
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                await self._deliver()
                if self._durable and self._process.world.scheduler.random.random() < POINT_SHARE:
                    await self._write_point()
        except (RuntimeFailure, *DRIVER_ERRORS) as error:
            self._break(str(error))

    async def _deliver(self) -> int:
        """Send the rows there are now, and wait until they are acknowledged."""
        tenant, begin = self._order.tenant, self._next
        end = await self._session.ask(lambda: self._rows.committed[tenant])
        waiting: list[asyncio.Future[None]] = []
        for row in range(begin, end):
            acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._process.broadcast(tenant, json.dumps([tenant, row, self._order.claim]).encode(), acknowledged)
            waiting.append(acknowledged)
        await asyncio.gather(*waiting)
        self._next = max(end, begin)
        return max(0, end - begin)

    async def _write_point(self) -> None:
        order, lsn = self._order, self._next
        at = order.now() + timedelta(0)
        await order.positions.write(ResumePoint(order.tenant, order.claim, lsn, lsn, SYSTEM, 1, at))
        self.resume_point = lsn_text(lsn)

    def _ended(self, _session: Any) -> None:
        self._break("the session ended")

    def _break(self, problem: str) -> None:
        if not self._lost.done():
            self._lost.set_result(ReplicationFailure(ReplicationCode.CONNECTION_DOWN, problem))
