"""The store as the event loop sees it: a thread of its own, and what is done when the disk fails.

Whatever fails there costs the time to fold the log, and nothing else: the failure is told once, the disk is left alone
for a while and then tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar

import structlog

from streams.snapshots.doubt import Doubt, StoreDamaged, StoreFailed
from streams.snapshots.encoding import Heading, Place
from streams.snapshots.outcome import Counted, Outcome
from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT_S: Final = 10.0
"""How long the disk may take for one step."""

REST_S_MIN: Final = 1.0
"""How long the disk is left alone after a failure, at least."""

T = TypeVar("T")


class Disk:
    """Runs what is to be done with a store in a thread of its own.

    Args:
        store: where snapshots are; nobody else uses it.
        topic: the events topic.
        rest_s: how long it is left alone after a failure, in seconds.
        counted: told of what becomes of snapshots.

    Attributes:
        shelf: the slots in the store; to be used by way of `do`.
    """

    def __init__(self, store: Store, topic: str, rest_s: float, counted: Counted) -> None:
        self.shelf = Shelf(store, topic)
        self._store = store
        self._rest_s = max(REST_S_MIN, rest_s)
        self._counted = counted
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="snapshots")
        self._failure: StoreFailed | None = None
        self._rests_until = 0.0

    @property
    def rests(self) -> bool:
        """Whether it failed a short while ago."""
        return asyncio.get_running_loop().time() < self._rests_until

    async def do(self, act: Callable[..., T], *arguments: object) -> T:
        """Let the thread do something; its failures come as they are.

        Raises:
            StoreFailed: it took longer than `ANSWER_TIMEOUT_S`.
        """
        done = asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                return await done
        except TimeoutError:
            raise StoreFailed(f"the disk did not answer within {ANSWER_TIMEOUT_S:.0f} s") from None

    async def ready(self) -> None:
        """Open the store, if it is not; where its files are damaged, begin a new one.

        Raises:
            StoreFailed: it cannot be opened.
        """
        failure = self._failure
        if failure is not None:
            with suppress(StoreFailed):
                await self.do(self._store.close)
        if isinstance(failure, StoreDamaged):
            await self._begin_anew(failure)
        try:
            await self.do(self._store.open)
        except StoreDamaged as error:
            await self._begin_anew(error)
            await self.do(self._store.open)
        self._failure = None
        if failure is not None:
            log.info("snapshots.resumed", directory=str(self._store.directory))

    def failed(self, what: str, error: StoreFailed) -> None:
        """The disk failed while something was done: say so, and leave it alone for a while."""
        self._failure = error
        self._rests_until = asyncio.get_running_loop().time() + self._rest_s
        self._counted(Outcome.FAILED)
        directory = str(self._store.directory)
        log.warning("snapshots.failed", what=what, directory=directory, error=str(error), again_in_s=self._rest_s)

    async def heading(self, place: Place) -> Heading | None:
        """The heading of a slot, None where it holds no snapshot that can be used; one in doubt is deleted.

        Raises:
            StoreFailed: it cannot be read.
        """
        try:
            return await self.do(self.shelf.heading, place)
        except Doubt as doubt:
            await self.discard(place, str(doubt))
            return None

    async def discard(self, place: Place, why: str) -> None:
        """Delete what a slot holds, and say why.

        Raises:
            StoreFailed: it cannot be deleted.
        """
        self._counted(Outcome.DISCARDED)
        where = {"topic": place.topic, "partition": place.partition, "slot": place.slot}
        log.warning("snapshot.discarded", **where, why=why, directory=str(self._store.directory))
        await self.do(self.shelf.discard, place)

    async def close(self) -> None:
        """Close the store; its thread ends with what it is doing."""
        try:
            await self.do(self._store.close)
        except StoreFailed as error:
            self.failed("closing", error)
        self._thread.shutdown(wait=False)

    async def _begin_anew(self, error: StoreDamaged) -> None:
        self._counted(Outcome.DISCARDED)
        log.warning("snapshots.damaged", directory=str(self._store.directory), why=str(error), consequence="deleted")
        await self.do(self._store.destroy)
