"""Applications that write messages into a tenant's database, whatever becomes of their sessions."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from streams.tenantdb.failure import DRIVER_ERRORS
from tests.integration.life.stage import Tenant
from tests.support.waiting import until

INSERT: Final = """
insert into realtime.messages (topic, extension, event, private, payload, id)
values ('room', 'broadcast', 'said', false, '{}', $1)
"""

ROWS_MAX: Final = 3
PAUSE_MAX_S: Final = 0.02
AWAY_S: Final = 0.05


class Writers:
    """Sessions that write one transaction after the other.

    Attributes:
        committed: ids of rows that are committed for certain.
        unknown: ids of rows whose session broke before that was told.
    """

    def __init__(self, tenant: Tenant) -> None:
        self.committed: set[str] = set()
        self.unknown: set[str] = set()
        self._tenant = tenant
        self._chance = random.Random(tenant.name)
        self._stopping = False

    async def more(self, rows: int) -> None:
        """Return when so many more rows are committed."""
        enough = len(self.committed) + rows
        await until(lambda: len(self.committed) >= enough)

    async def write(self) -> None:
        """Write until told to stop; a session that breaks is opened again."""
        while not self._stopping:
            try:
                session = await self._tenant.administrator()
            except DRIVER_ERRORS:
                await asyncio.sleep(AWAY_S)
                continue
            try:
                await self._write_with(session)
            except DRIVER_ERRORS:
                continue
            finally:
                session.terminate()

    def stop(self) -> None:
        self._stopping = True

    async def _write_with(self, session: Any) -> None:
        while not self._stopping:
            ids = [str(uuid.uuid4()) for _ in range(self._chance.randint(1, ROWS_MAX))]
            transaction = session.transaction()
            await transaction.start()
            for row in ids:
                await session.execute(INSERT, row)
                await asyncio.sleep(self._chance.random() * PAUSE_MAX_S)
            if self._chance.random() < 0.1:
                await transaction.rollback()
                continue
            self.unknown.update(ids)
            await transaction.commit()
            self.unknown.difference_update(ids)
            self.committed.update(ids)


@asynccontextmanager
async def writing(tenant: Tenant, sessions: int = 3) -> AsyncIterator[Writers]:
    """So many sessions write for as long as it is entered."""
    writers = Writers(tenant)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(sessions):
            tasks.create_task(writers.write())
        try:
            yield writers
        finally:
            writers.stop()


async def write(tenant: Tenant, rows: int = 1) -> list[str]:
    """Commit rows one by one; gives their ids."""
    session = await tenant.administrator()
    ids = [str(uuid.uuid4()) for _ in range(rows)]
    for row in ids:
        await session.execute(INSERT, row)
    await session.close()
    return ids
