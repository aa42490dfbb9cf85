"""Writers that make it hard: savepoints, rollbacks at every level, transactions that stay open."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from streams.catalog.entry import Database
from tests.integration.replication.place import connected
from tests.support.waiting import until

INSERT = """
insert into realtime.messages (topic, extension, event, private, payload, id)
values ('topic', 'broadcast', 'event', false, '{}', $1)
"""

STEPS_MAX = 5
PAUSE_MAX_S = 0.02
LONG_PAUSE_MAX_S = 0.2


class Writers:
    """Several sessions that write at once.

    Attributes:
        committed: ids of rows that were committed for certain.
        undone: ids of rows that were not.
    """

    def __init__(self, seed: int) -> None:
        self.committed: set[str] = set()
        self.undone: set[str] = set()
        self._stopping = False
        self._chance = random.Random(seed)

    async def more(self, rows: int) -> None:
        """Wait until so many more rows are committed."""
        enough = len(self.committed) + rows
        await until(lambda: len(self.committed) >= enough)

    async def write(self, session: Any) -> None:
        """Write one transaction after the other until told to stop; the last one is ended, too."""
        while not self._stopping:
            await self._transaction(session, self._chance.random() < 0.1)

    def stop(self) -> None:
        self._stopping = True

    async def _transaction(self, session: Any, is_long: bool) -> None:
        kept: list[str] = []
        transaction = session.transaction()
        await transaction.start()
        for _ in range(self._chance.randint(1, STEPS_MAX)):
            if self._chance.random() < 0.4:
                kept += await self._savepoint(session)
            else:
                kept.append(await self._row(session))
            await asyncio.sleep(self._chance.random() * (LONG_PAUSE_MAX_S if is_long else PAUSE_MAX_S))
        if self._chance.random() < 0.15:
            self.undone.update(kept)
            await transaction.rollback()
        else:
            await transaction.commit()
            self.committed.update(kept)

    async def _savepoint(self, session: Any) -> list[str]:
        savepoint = session.transaction()
        await savepoint.start()
        kept = [await self._row(session) for _ in range(self._chance.randint(1, 3))]
        if self._chance.random() < 0.3:
            self.undone.update(kept)
            await savepoint.rollback()
            return []
        await savepoint.commit()
        return kept

    async def _row(self, session: Any) -> str:
        name = str(uuid.UUID(int=self._chance.getrandbits(128), version=4))
        await session.execute(INSERT, name)
        return name


@asynccontextmanager
async def writing(database: Database, sessions: int, seed: int) -> AsyncIterator[Writers]:
    """So many sessions write for as long as it is entered."""
    writers = Writers(seed)
    opened = [await connected(database) for _ in range(sessions)]
    tasks = [asyncio.create_task(writers.write(session)) for session in opened]
    try:
        yield writers
    finally:
        writers.stop()
        await asyncio.gather(*tasks)
        for session in opened:
            await session.close()
