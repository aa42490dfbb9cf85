"""The network of one process, and the process's own presence: what it sends may be held up, lost, or never answered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from typing import Any, Final

from tests.simulation.scheduler import Scheduler

RETRY_S: Final = 0.2
"""How soon a client asks again when it heard nothing."""


class Passage(Enum):
    """What a network lets through."""

    OPEN = "open"
    DEAF = "deaf"
    """Requests arrive, answers do not."""
    CUT = "cut"


class Link:
    """One process's way to the broker.

    Args:
        scheduler: virtual time.
        name: the process.
        loop: of the process.

    Attributes:
        loop: where answers are awaited.
        passage: what the network lets through.
        coordinator: the same on the way to the group's coordinator, for heartbeats alone.
        questions: the same on the way to where partitions end, which is asked over a connection of its own.
        database: the same on the way to tenants' databases.
        frozen: the process does not run: it sends nothing, and what arrives is kept.
        dead: the process has ended: it sends nothing and hears nothing ever again.
    """

    def __init__(self, scheduler: Scheduler, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.passage = Passage.OPEN
        self.coordinator = Passage.OPEN
        self.questions = Passage.OPEN
        self.database = Passage.OPEN
        self.frozen = False
        self.dead = False
        self._scheduler = scheduler
        self._name = name
        self.loop = loop

    def __str__(self) -> str:
        return self._name

    @property
    def sends(self) -> bool:
        """Whether what the process sends leaves it and arrives."""
        return not self.frozen and not self.dead and self.passage is not Passage.CUT

    @property
    def hears(self) -> bool:
        """Whether answers reach the process's machine."""
        return not self.dead and self.passage is Passage.OPEN

    def ask(self, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have ``work`` done at the broker; it may be done more than once, when its answer is lost."""
        answered: asyncio.Future[Any] = self.loop.create_future()
        self._send(work, answered)
        return answered

    def _send(self, work: Callable[[], Any], answered: asyncio.Future[Any]) -> None:
        if self.dead or answered.done():
            return
        if self.sends:
            self._scheduler.soon(self._arrive, work, answered)
        else:
            self._scheduler.after(RETRY_S, self._send, work, answered)

    def _arrive(self, work: Callable[[], Any], answered: asyncio.Future[Any]) -> None:
        self._scheduler.soon(self._answer, work(), work, answered)

    def _answer(self, result: Any, work: Callable[[], Any], answered: asyncio.Future[Any]) -> None:
        if answered.done() or self.dead:
            return
        if self.hears:
            answered.set_result(result)
        else:
            self._scheduler.after(RETRY_S, self._send, work, answered)
