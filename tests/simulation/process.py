"""One worker's process: the real worker in a loop of its own, that can be frozen, killed and started again."""

from __future__ import annotations

import asyncio
import traceback
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from statemachine.errors import TenantConnectError
from streams.service.worker import Worker
from streams.settings import Settings
from tests.simulation.admin import LogReader
from tests.simulation.broker import EPOCH_MS
from tests.simulation.link import Link, Passage
from tests.simulation.loop import ProcessLoop
from tests.simulation.producer import SimulatedProducer
from tests.simulation.threads import Turn

if TYPE_CHECKING:
    from tests.simulation.world import World

START: Final = datetime.fromtimestamp(EPOCH_MS / 1000, UTC)
"""The time of day at which every world begins."""

BELIEVED: Final = frozenset(
    {"delivery_failed", "kafka_unreachable", "ownership_lost", "wait_expired", "engine_stopped", "recovery_stalled"}
)
"""Codes of failures that faults can bring about; a worker that ends with another one is broken."""


class Life(Enum):
    """How a process is."""

    RUNNING = "running"
    FROZEN = "frozen"
    DEAD = "dead"


class Process:
    """One life of a worker, from its start to its end.

    Args:
        world: where it lives.
        name: the worker's name.
        life: which life of that worker it is, from 1.
        settings: the worker's.
        ahead_s: by how much its clock is ahead of the world's, in seconds.

    Attributes:
        life: how it is.
        ahead_s: see above; faults change it.
        worker: the real worker, once it is made.
        stop: set to stop it as SIGTERM does.
    """

    def __init__(self, world: World, name: str, life: int, settings: Settings, ahead_s: float) -> None:
        self.world = world
        self.name = name
        self.member = f"{name}.{life}"
        self.life = Life.RUNNING
        self.ahead_s = ahead_s
        self.worker: Worker | None = None
        self.loop = ProcessLoop(world.scheduler, self.member, self._unhandled)
        self.link = Link(world.scheduler, self.member, self.loop)
        self.reader = LogReader(world.broker, self.link, self.passes)
        self.stop = asyncio.Event()
        self._settings = settings
        self.turn = Turn()
        self._broadcasts: SimulatedProducer | None = None
        vars(self.loop)["process"] = self
        self.loop.create_task(self._main())

    def __str__(self) -> str:
        return self.member

    def now(self) -> datetime:
        """The time by this process's clock."""
        return START + timedelta(seconds=self.world.scheduler.now + self.ahead_s)

    def passes(self, point: str) -> None:
        """The process is about to do something that faults may wait for."""
        self.world.passes(self, point)

    def producer(self) -> SimulatedProducer:
        """A producer of this process's own."""
        return SimulatedProducer(self.world.scheduler, self.world.broker, self.link, self.world.partitions, self)

    def broadcast(self, tenant: str, value: bytes, acknowledged: asyncio.Future[None]) -> None:
        """Send a row to the readers of broadcasts; it is sent until it arrives."""
        if self._broadcasts is None:
            self._broadcasts = self.producer()

        def on_delivery(_error: None, _message: object) -> None:
            if not acknowledged.done():
                acknowledged.set_result(None)

        self._broadcasts.produce(self.world.topics.broadcasts, value, tenant, -1, on_delivery)

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.life is Life.RUNNING:
            self.life = Life.FROZEN
            self.link.frozen = True
            self.loop.freeze()

    def thaw(self) -> None:
        """SIGCONT."""
        if self.life is Life.FROZEN:
            self.life = Life.RUNNING
            self.link.frozen = False
            self.loop.thaw()

    def kill(self) -> None:
        """SIGKILL, or the end by itself: nothing of it runs any more, and its sockets are closed."""
        if self.life is not Life.DEAD:
            self.life = Life.DEAD
            self.link.dead = True
            self.loop.kill()
            self.world.ended(self)

    def request_stop(self) -> None:
        """SIGTERM."""
        self.loop.call_soon(self._stop)

    def heal(self) -> None:
        """Everything that was done to it is undone."""
        self.link.passage = self.link.coordinator = self.link.database = Passage.OPEN
        self.thaw()

    def _stop(self) -> None:
        self.stop.set()

    async def _main(self) -> None:
        self.worker = Worker(self._settings, self.now)
        try:
            await self.worker.run(self.stop)
        except TenantConnectError as error:
            self.world.scheduler.say(f"{self} ends: {error.code}: {error}")
            if error.code not in BELIEVED:
                self.world.violated(f"{self} ended with {error.code}: {error}")
        except Exception as error:  # noqa: BLE001  told as what it is: a broken worker
            self.world.violated(f"{self} ended with {error!r}{_where(error)}")
        self.loop.call_soon(self.kill)

    def _unhandled(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, TenantConnectError):
            self.world.violated(f"{self}: {context.get('message')}: {error!r}{_where(error)}")


def _where(error: BaseException | None) -> str:
    """Where an unexpected error comes from: the last places in the project's own code."""
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    own = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames if "site-packages" not in frame.filename]
    return f" from {' > '.join(own[-4:])}" if own else ""
