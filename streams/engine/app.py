"""The Faust app of a worker: its settings, its two agents, its table, and how it starts and stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import faust
from faust.types import TP, EventT, TopicT

from streams.engine.stall import stays
from streams.engine.table import RegistryTable, RunSchema
from streams.engine.transport import RunConsumer
from streams.errors import OwnershipLost
from streams.registry.registry import Registry
from streams.worker.run import Run

RUNS_BUFFERED_MAX: Final = 64
"""Runs that wait for an agent before the partition they came from is fetched no more."""

RECOVERY_BUFFER_RUNS: Final = 2
"""Runs folded at once in recovery; 1 has a meaning of its own in Faust."""

STANDBY_BUFFER_RUNS: Final = 1
"""Runs folded at once by whoever follows a partition: it is never behind what it has read."""

Handler = Callable[[Run], Awaitable[None]]
"""Handles a run: what is decided is decided when it returns, what it returns ends when that is done."""


class Shape(NamedTuple):
    """What the app is told of its surroundings.

    Attributes:
        group: id of the consumer group, and of the app.
        brokers: host and port of each bootstrap server.
        credentials: aiokafka's, None for plain text.
        events: the events topic.
        region_commands: the topic whose commands this worker decides.
        commands: the topic whose commands it routes.
        partitions: number of partitions of all three.
        session_timeout_s: how long the group waits for a silent member.
        heartbeat_interval_s: how often a member shows that it lives.
        runs_in_flight_max: runs of a partition begun and not done.
        standbys: workers that follow each partition beside its owner.
        data_dir: where Faust may keep files of its own.
    """

    group: str
    brokers: list[str]
    credentials: Any
    events: str
    region_commands: str
    commands: str
    partitions: int
    session_timeout_s: float
    heartbeat_interval_s: float
    runs_in_flight_max: int
    standbys: int
    data_dir: Path


class Engine:
    """Runs the worker's Faust app.

    Args:
        shape: what the app is told of its surroundings.
        decide: handles runs of the region's commands.
        route: handles runs of everybody's commands.
        failed: told of a failure that the worker cannot survive.
    """

    def __init__(self, shape: Shape, decide: Handler, route: Handler, failed: Callable[[Exception], None]) -> None:
        self._shape = shape
        self._failed = failed
        self._taken: dict[TP, int] = {}
        self._room: dict[TP, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: set[TP] = set()
        self._generation: int | None = None
        self._broken = False
        self._heard: Callable[[TP], None] = lambda _: None
        self._held_up: Callable[[], None] = lambda: None
        self._app = self._create_app()
        self._app.agent(self._topic(shape.region_commands), name="decide")(self._agent(decide))
        self._app.agent(self._topic(shape.commands), name="route")(self._agent(route))

    @property
    def inputs(self) -> set[TP] | None:
        """The partitions of commands that are read; None while a rebalance or a recovery keeps them waiting."""
        return self._consumer.inputs

    def listen(self, heard: Callable[[TP], None], held_up: Callable[[], None]) -> None:
        """Tell of each run that was read from an input, and each time that one waited until another one was done."""
        self._heard = heard
        self._held_up = held_up

    def use(self, registry: Registry) -> None:
        """Recover ``registry`` from the events topic."""
        changelog = self._topic(self._shape.events, acks=False, allow_empty=True)
        buffers = {"recovery_buffer_size": RECOVERY_BUFFER_RUNS, "standby_buffer_size": STANDBY_BUFFER_RUNS}
        table = RegistryTable(self._app, registry, changelog, self._failed, self.lose, **buffers)
        self._app.tables.add(table)

    async def start(self) -> None:
        """Join the group; returns when Faust's services run, before the first assignment."""
        self._shape.data_dir.mkdir(parents=True, exist_ok=True)
        self._app.finalize()
        await self._app.start()

    async def stop(self) -> None:
        """Leave the group: runs that are being handled are finished and committed first."""
        await self._app.stop()

    def lose(self, partition: int, error: OwnershipLost) -> None:
        """A partition turned out to be another worker's; if the group does not assign anew, the worker ends."""
        self._lose(TP(self._shape.region_commands, partition), error)

    def target(self, partition: int) -> int | None:
        """Offset of the last record that recovery has to read of an events partition; None while that is unknown."""
        recovery: Any = self._app.tables.recovery  # type: ignore[attr-defined]  # the interface's class does not name it
        end: int | None = recovery.active_highwaters.get(TP(self._shape.events, partition))
        return end

    async def wait_crashed(self) -> None:
        """Return when Faust has ended by itself."""
        await self._app._crashed.wait()  # noqa: SLF001  Faust offers a flag and no wait

    @property
    def crashed(self) -> BaseException | None:
        """What ended Faust, if something did."""
        return self._app.crash_reason

    def _create_app(self) -> faust.App:
        shape = self._shape
        return faust.App(
            shape.group,
            broker=";".join(f"batch://{broker}" for broker in shape.brokers),
            broker_credentials=shape.credentials,
            broker_session_timeout=shape.session_timeout_s,
            broker_heartbeat_interval=shape.heartbeat_interval_s,
            broker_commit_interval=1.0,
            consumer_auto_offset_reset="earliest",
            datadir=shape.data_dir,
            store="memory://",
            stream_buffer_maxsize=RUNS_BUFFERED_MAX,
            stream_wait_empty=True,
            table_standby_replicas=shape.standbys,
            topic_allow_declare=False,
            topic_disable_leader=True,
            topic_partitions=shape.partitions,
            web_enabled=False,
        )

    def _topic(self, name: str, **options: Any) -> TopicT:
        return self._app.topic(name, schema=RunSchema(), partitions=self._shape.partitions, **options)

    def _agent(self, handle: Handler) -> Callable[[Any], Awaitable[None]]:
        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    await self._take(event, handle)
                except Exception as error:  # noqa: BLE001  Faust would restart the agent past the run
                    self._break(error)

        return agent

    async def _take(self, event: EventT[Any], handle: Handler) -> None:
        """Hand a run to its handler, in order and without a hole, and see to its end in the background."""
        run = cast(Run, event.value)
        tp, consumer = event.message.tp, self._consumer
        self._heard(tp)
        self._notice_generation(event.message.generation_id)
        if self._broken or not await self._has_room(tp) or consumer.is_stale(run):
            event.ack()
            return
        if not self._continues(run, tp):
            event.ack()
            await self._seek_back(tp)
            return
        self._taken[tp] = run.last
        consumer.progress.begin((run.topic, run.partition), run.last)
        self._spawn(self._finish(event, handle(run)))

    def _notice_generation(self, generation: int | None) -> None:
        if generation != self._generation:
            self._generation = generation
            self._taken.clear()
            self._lost.clear()

    async def _has_room(self, tp: TP) -> bool:
        """Wait until the partition has room for a run; False where it was lost to another worker."""
        progress = self._consumer.progress
        while tp not in self._lost and progress.running((tp.topic, tp.partition)) >= self._shape.runs_in_flight_max:
            room = self._room.setdefault(tp, asyncio.Event())
            room.clear()
            await room.wait()
            self._held_up()
        return tp not in self._lost

    def _continues(self, run: Run, tp: TP) -> bool:
        """Whether nothing is missing between what was taken before and this run."""
        taken = self._taken.get(tp)
        if run.follows is None:
            return taken is None or run.records[0].offset <= taken + 1
        return run.follows == taken

    async def _seek_back(self, tp: TP) -> None:
        taken = self._taken.get(tp)
        if taken is None:
            await self._consumer.rewind(tp)
        else:
            await self._consumer.seek(tp, taken + 1)

    @property
    def _consumer(self) -> RunConsumer:
        consumer = self._app.consumer
        assert isinstance(consumer, RunConsumer)  # noqa: S101  the broker's scheme chose it
        return consumer

    async def _finish(self, event: EventT[Any], handled: Awaitable[None]) -> None:
        tp = event.message.tp
        try:
            await handled
        except OwnershipLost as error:
            self._lose(tp, error)
        except Exception as error:  # noqa: BLE001  a run that cannot be finished must not be committed
            self._break(error)
        else:
            self._consumer.progress.finish((tp.topic, tp.partition), cast(Run, event.value).last)
        finally:
            event.ack()
            self._room.setdefault(tp, asyncio.Event()).set()

    def _break(self, error: Exception) -> None:
        """Take nothing more: a run after one that failed would hide that it was never done."""
        self._broken = True
        self._failed(error)

    def _lose(self, tp: TP, error: OwnershipLost) -> None:
        """Take no more runs of a partition until the group assigns anew; if it does not, end."""
        self._lost.add(tp)
        self._spawn(self._end_if_left_out(tp, error))

    async def _end_if_left_out(self, tp: TP, error: OwnershipLost) -> None:
        """End unless the group assigns anew within two session timeouts in which the worker runs.

        The consumer knows the group's generation even where no run has come since.
        """
        app = self._consumer.app
        generation = app.consumer_generation_id
        if await stays(
            lambda: app.consumer_generation_id == generation and tp in self._lost, 2 * self._shape.session_timeout_s
        ):
            self._failed(error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
