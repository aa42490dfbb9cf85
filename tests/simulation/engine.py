"""The engine without Faust's services: the real `Engine` decides what becomes of a run; what drives it is simulated.

What Faust does around it is told here in Faust's own order, as of 0.15.3: everything is given back before the group
assigns anew; what agents have begun is waited for and committed; the table is told of the assignment and claims; a
recovery reads the log, is dropped when another rebalance begins, and ends with the table's word and a seek of all
inputs. The table's callback at the end of a recovery is not cancelled by the next rebalance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from faust.types import TP

from streams.engine.app import RECOVERY_BUFFER_RUNS, Engine, Handler, Shape
from streams.engine.transport import RunConsumer
from streams.errors import OwnershipLost
from streams.registry.registry import Registry
from tests.simulation.agents import AgentApp, AgentStream
from tests.simulation.consumer import SimulatedConsumer
from tests.simulation.group import Joined, Pulse
from tests.simulation.link import Passage

COMMIT_INTERVAL_S: Final = 0.5
"""How often what is finished is committed."""

ACK_WAIT_S: Final = 1.0
"""How long giving back waits for one more run to end before it looks again."""


class SimulatedEngine(Engine):
    """Drives the agents and the registry of one process.

    Args:
        process: whose engine it is.
        shape: what the app is told of its surroundings.
        decide: handles runs of the region's commands.
        route: handles runs of everybody's commands.
        failed: told of a failure that the worker cannot survive.
    """

    def __init__(
        self, process: Any, shape: Shape, decide: Handler, route: Handler, failed: Callable[[Exception], None]
    ) -> None:
        self._process = process
        self._simulated = SimulatedConsumer(
            process.world.scheduler,
            process.world.broker,
            process.link,
            process.world.coordinator,
            process.member,
            shape.events,
        )
        self._simulated.passes = process.passes
        super().__init__(shape, decide, route, failed)
        self._registry: Registry
        self._streams = {topic: AgentStream(self._simulated) for topic in (shape.region_commands, shape.commands)}
        self._changelog: asyncio.Queue[Any] = asyncio.Queue()
        self._services: list[asyncio.Task[None]] = []
        self._rejoin = asyncio.Event()
        self._recovery_wanted = asyncio.Event()
        self._recovered = asyncio.Event()
        self._targets: dict[int, int] = {}
        self._read: dict[int, int] = {}
        self._buffer: list[Any] = []
        self._recovering = False
        self._generation_assigned = -1
        self._stopping = False
        self._beating = False

    def use(self, registry: Registry) -> None:
        """Recover ``registry`` from the events topic."""
        self._registry = registry

    async def start(self) -> None:
        """Join the group."""
        app: Any = self._app
        for topic, stream in self._streams.items():
            self._serve(app.agents[topic](stream))
        self._serve(self._fetch())
        self._serve(self._slurp())
        self._serve(self._recover())
        self._serve(self._commit())
        self._serve(self._belong())
        self._beat()

    async def stop(self) -> None:
        """Leave the group: runs that are being handled are finished and committed first."""
        self._stopping = True
        self._simulated.stop_flow()
        await self._wait_empty()
        for service in self._services:
            service.cancel()
        await asyncio.gather(*self._services, return_exceptions=True)
        coordinator, member = self._process.world.coordinator, self._process.member
        await self._process.link.ask(lambda: coordinator.leave(member))

    async def wait_crashed(self) -> None:
        """Faust does not end by itself here."""
        await asyncio.Event().wait()

    def target(self, partition: int) -> int | None:
        """Offset of the last record that recovery has to read."""
        return self._targets.get(partition)

    @property
    def crashed(self) -> BaseException | None:
        """Nothing ended it."""
        return None

    def _create_app(self) -> Any:
        return AgentApp()

    def _topic(self, name: str, **_: Any) -> Any:
        return name

    @property
    def _consumer(self) -> RunConsumer:
        return self._simulated

    def _serve(self, work: Coroutine[Any, Any, None] | Awaitable[None]) -> None:
        self._services.append(asyncio.ensure_future(self._guard(work)))

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  a service of Faust's that fails ends the app
            self._failed(error)

    # Membership

    async def _belong(self) -> None:
        """Join, give back, join again, for as long as the group lives.

        As aiokafka does: it beats until it joins, and again only when the assignment was taken over; what it heard
        before it joins is forgotten then; and nothing is fetched from its first step to the new assignment.
        """
        while True:
            self._simulated.reassigning()
            await self._give_back()
            self._beating = False
            self._rejoin.clear()
            joined = await self._join()
            self._simulated.app.consumer_generation_id = joined.generation
            await self._take_over(joined)
            self._beating = True
            await self._rejoin.wait()

    async def _join(self) -> Joined:
        answered: asyncio.Future[Joined] = asyncio.get_running_loop().create_future()
        self._request_join(answered)
        return await answered

    def _request_join(self, answered: asyncio.Future[Joined]) -> None:
        """Ask to join until that is answered: a request or an answer that is lost is sent again."""
        world, link = self._process.world, self._process.link
        if link.dead or answered.done():
            return

        def answer(joined: Joined) -> None:
            world.scheduler.soon(hear, joined)

        def hear(joined: Joined) -> None:
            if not answered.done() and link.hears:
                self._process.passes("assigned")
                answered.set_result(joined)

        if link.sends:
            world.scheduler.soon(world.coordinator.join, self._process.member, answer)
        world.scheduler.after(self._shape.session_timeout_s, self._request_join, answered)

    async def _give_back(self) -> None:
        consumer = self._simulated
        if consumer.assigned:
            consumer.stop_flow()
            consumer.paused |= consumer.assigned
            for stream in self._streams.values():
                stream.clear()
            while not self._changelog.empty():
                self._changelog.get_nowait()
            await self._wait_empty()
            consumer.forget()

    async def _wait_empty(self) -> None:
        consumer = self._simulated
        while consumer._unacked_messages:
            await consumer.commit_finished()
            if consumer._unacked_messages:
                await asyncio.sleep(ACK_WAIT_S / 20)
        await consumer.commit_finished()

    async def _take_over(self, joined: Joined) -> None:
        shape, consumer = self._shape, self._simulated
        topics = (shape.events, shape.region_commands, shape.commands)
        consumer.assign({TP(topic, number) for number in joined.partitions for topic in topics})
        self._process.passes("claim")
        await self._registry.assign(joined.partitions, joined.generation)
        self._generation_assigned = joined.generation
        self._targets = dict.fromkeys(joined.partitions, -1)
        self._recovery_wanted.set()

    def _beat(self) -> None:
        """The heartbeat of the consumer's own thread: it goes on while the loop is busy, and stops while it joins."""
        world, link = self._process.world, self._process.link
        if link.dead or self._stopping:
            return
        if self._beating and link.sends and link.coordinator is Passage.OPEN:
            world.scheduler.soon(self._pulse_arrives, self._simulated.app.consumer_generation_id)
        world.scheduler.after(self._shape.heartbeat_interval_s, self._beat)

    def _pulse_arrives(self, generation: int) -> None:
        world, link = self._process.world, self._process.link
        pulse = world.coordinator.heartbeat(self._process.member, generation)
        if pulse is not Pulse.GOOD and link.hears:
            self._process.loop.call_soon(self._told_to_rejoin, generation)

    def _told_to_rejoin(self, generation: int) -> None:
        if self._beating and generation == self._simulated.app.consumer_generation_id:
            self._rejoin.set()

    def __str__(self) -> str:
        return f"{self._process}'s engine"

    # Recovery

    async def _recover(self) -> None:
        """Read the log for every assignment; a new assignment begins it anew."""
        while True:
            await self._recovery_wanted.wait()
            self._recovery_wanted.clear()
            attempt = asyncio.ensure_future(self._read_log(self._generation_assigned))
            again = asyncio.ensure_future(self._recovery_wanted.wait())
            await asyncio.wait({attempt, again}, return_when=asyncio.FIRST_COMPLETED)
            again.cancel()
            attempt.cancel()
            with suppress(asyncio.CancelledError):
                await attempt

    async def _read_log(self, generation: int) -> None:
        consumer, events = self._simulated, self._shape.events
        self._flush()
        tps = [TP(events, number) for number in self._targets]
        ends = await consumer.ends(tps)
        self._targets = {tp.partition: end - 1 for tp, end in ends.items()}
        self._read = {number: self._registry.folded(number) for number in self._targets}
        await consumer.seek_wait({TP(events, number): max(0, offset) for number, offset in self._read.items()})
        self._recovered.clear()
        self._recovering = True
        if self._behind():
            consumer.paused -= set(tps)
            consumer.resume_flow()
            await self._recovered.wait()
            consumer.paused |= set(tps)
        else:
            consumer.resume_flow()
            self._recovering = False
        await self._complete(generation)

    async def _complete(self, generation: int) -> None:
        consumer = self._simulated
        owned = asyncio.ensure_future(self._own())
        await asyncio.wait({owned})
        if consumer.app.consumer_generation_id != generation:
            return
        consumer.paused = {tp for tp in consumer.assigned if tp.topic == self._shape.events}
        await consumer.perform_seek()
        consumer.resume_flow()

    async def _own(self) -> None:
        self._process.passes("recovered")
        try:
            lost = await self._registry.recovered(self._prove)
        except Exception as error:  # noqa: BLE001  as the table does; Faust goes on
            self._failed(error)
            return
        for number in lost:
            self.lose(number, OwnershipLost(f"partition {number}: recovery found a newer owner's claim"))

    async def _prove(self, partition: int) -> None:
        tp = TP(self._shape.commands, partition)
        if tp not in self._simulated.assigned or not await self._simulated.prove_membership(tp):
            raise OwnershipLost(f"partition {partition}: membership of the group could not be proved")

    def _behind(self) -> bool:
        return any(self._read.get(number, -1) < target for number, target in self._targets.items())

    async def _slurp(self) -> None:
        while True:
            run = (await self._changelog.get()).value
            if run.last > self._read.get(run.partition, -1) and run.partition in self._targets:
                self._read[run.partition] = run.last
                self._buffer.append(run)
                if len(self._buffer) >= RECOVERY_BUFFER_RUNS:
                    self._flush()
            if self._recovering and not self._behind():
                self._flush()
                self._recovering = False
                self._recovered.set()

    def _flush(self) -> None:
        buffered, self._buffer = self._buffer, []
        for run in buffered:
            self._registry.fold(run.partition, run.records)

    # Inputs

    async def _fetch(self) -> None:
        while True:
            await asyncio.sleep(0)
            async for tp, message in self._simulated.getmany(timeout=1.0):
                queue = self._changelog if tp.topic == self._shape.events else self._streams[tp.topic].queue
                await queue.put(message)

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_INTERVAL_S)
            await self._simulated.commit_finished()
