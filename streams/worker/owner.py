"""The owner of one partition: decides its commands, answers them, and starts what its states call for.

Everything between reading a state and applying the event is one step of the event loop, so commands,
reports of effects, and deadlines of a partition are decided one after another. Answers and effects wait
for the acknowledgement of the events before them: nothing happens in the world before it is on the log.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Iterable, Sequence
from datetime import datetime
from typing import Final

from msgspec import UNSET

from statemachine.answers import Answer, answer, answer_again
from statemachine.commands import (
    CheckHealth,
    Connect,
    Deadline,
    DeadlineReached,
    FailuresWeighed,
    ReconnectWanted,
    Reload,
    Report,
    Shutdown,
)
from statemachine.decide import decide
from statemachine.errors import Initializing
from statemachine.health import health
from statemachine.machines import Lifecycle
from statemachine.reactions import Reaction, reaction
from statemachine.rejections import Rejection
from statemachine.state import StopReason, TenantState
from statemachine.terms import Terms
from statemachine.why import why
from streams.errors import OwnershipLost
from streams.log.producer import Receipts
from streams.registry.partition import Cause, Flight, OwnedPartition
from streams.wire.command import Request, Unreadable, decode_command
from streams.wire.reply import HealthStatus, TenantStatus
from streams.worker.attendance import Attendance
from streams.worker.office import Office
from streams.worker.places import place_of
from streams.worker.replies import Outcome
from streams.worker.run import Fetched, Run
from streams.worker.timers import Timers
from streams.worker.waiters import Waiter, Waiters

_PLACED: Final = (Connect, Reload)
"""Commands whose decision needs to know the tenant's region."""


class _Work:
    """What was decided in one step: it is acted on once it is proved.

    Attributes:
        known: offset of the last record that was known when it began.
    """

    __slots__ = ("appended", "known", "outcomes", "receipts", "touched", "waiting")

    def __init__(self, receipts: Receipts, known: int) -> None:
        self.receipts = receipts
        self.known = known
        self.appended = 0
        self.outcomes: list[Outcome] = []
        self.touched: dict[str, int] = {}
        self.waiting: list[tuple[Waiter, int]] = []


class PartitionOwner:
    """Decides for the tenants of one partition.

    Args:
        partition: the partition, claimed and recovered.
        office: what all owners of the worker share.
    """

    def __init__(self, partition: OwnedPartition, office: Office) -> None:
        self.partition = partition
        self._office = office
        self._waiters = Waiters(office.waiters_per_tenant_max, self._expired)
        self._timers = Timers(office.now, self._deadline_reached)
        self.attendance = Attendance(self, office)
        self._tasks: set[asyncio.Task[None]] = set()
        self._doubted_at = -math.inf
        self._released = False

    @property
    def number(self) -> int:
        """The partition's number."""
        return self.partition.state.partition

    @property
    def claim(self) -> int:
        """The claim under which it is held."""
        return self.partition.claim.offset

    @property
    def tenants(self) -> Iterable[TenantState]:
        """The states of its tenants, events on their way to the log included."""
        return list(self.partition.state.tenants.values())

    def state(self, tenant: str) -> TenantState:
        """The tenant's state, events on their way to the log included."""
        return self.partition.state.tenant(tenant)

    def start(self) -> None:
        """Carry on where the owner before stopped: derive what every state calls for."""
        for state in self.tenants:
            self._pursue(state)

    async def release(self) -> None:
        """Let go: decide and answer nothing any more. What is held for the tenants is closed by the effects."""
        self._released = True
        self._waiters.clear()
        self._timers.clear()
        await self.partition.release()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take(self, run: Run) -> Awaitable[None]:
        """Decide a run of commands now; the result ends when all of it is acknowledged and answered.

        Raises (when awaited):
            OwnershipLost: a newer claim is on the log; the run is another owner's.
        """
        work = self._begin()
        now = self._office.now()
        for record in run.commands():
            try:
                request = self._read(run, record)
            except Unreadable as error:
                self._office.replies.refuse(error, record.key, work.receipts)
                self._office.dead_letters.park(run.topic, run.partition, record, error.error, work.receipts)
            else:
                self._decide(request, record.offset, now, work)
        return self._settle(work, self._send(work))

    def reconsider(self, tenant: str) -> None:
        """The tenant's catalog entry is another one: give the connection up where it is not wanted as it is."""
        if tenant not in self.partition.state.tenants:
            return
        reason = self._office.unwanted(tenant)
        if reason is not None:
            before = self.state(tenant)
            self.report(tenant, Shutdown(reason), "effect:catalog")
            if reason is StopReason.REMOVED:
                self._office.effects.removed(self, before)
        else:
            self._office.effects.reconsider(self, self.state(tenant))

    def report(self, tenant: str, report: Report | Shutdown | Connect, causation: str) -> None:
        """Decide what the worker's own effects, timers or counts say of a tenant."""
        if self.partition.lost.is_set():
            return
        now = self._office.now()
        state = self.partition.state.tenant(tenant)
        decision = decide(state, report, now, self._office.terms(tenant))
        if decision is None or isinstance(decision, Rejection):
            return
        work = self._begin()
        self._appended(self.partition.append(state, decision, now, Cause(causation)), work)
        self._spawn(self._settle(work, self._send(work)))

    async def prove(self, *, doubted: bool = False) -> None:
        """Return once the claim is known to count; see `Owner`."""
        now = asyncio.get_running_loop().time()
        if doubted:
            self._doubted_at = now
        if self.partition.lost.is_set():
            raise OwnershipLost
        if self.partition.proved_at > max(self._doubted_at, now - self._office.proof_age_s_max):
            return
        try:
            await self.partition.verify()
        except OwnershipLost as error:
            if not self._released:
                self._office.lost(self.number, error)
            raise

    def _begin(self) -> _Work:
        return _Work(self._office.producer.receipts(), self.partition.state.folded)

    def _send(self, work: _Work) -> Flight | None:
        return self.partition.send() if work.appended else None

    def _read(self, run: Run, record: Fetched) -> Request:
        place = f"{run.topic}:{run.partition}:{record.offset}"
        request = decode_command(
            record.key, record.value, place, value_bytes_max=self._office.value_bytes_max, forwarded=True
        )
        self._office.replies.check(request)
        if place_of(request.tenant, self._office.partitions) != run.partition:
            problem = "the key belongs to another partition; use Kafka's default partitioner"
            raise Unreadable(problem, request.id, request.reply_to)
        return request

    def _decide(self, request: Request, offset: int, now: datetime, work: _Work) -> None:
        state = self.partition.state.tenant(request.tenant)
        event: int | None = None
        if request.id not in state.command_ids:
            decision = decide(state, request.command, now, self._terms(request))
            if self.partition.state.is_decided(offset, request.origin):
                decision = answer_again(state, request.command, decision)
            if isinstance(decision, Rejection):
                self._answer(request, decision, state, work)
                return
            if decision is not None:
                cause = Cause(request.id, offset, request.origin)
                state = self.partition.append(state, decision, now, cause)
                event = self._appended(state, work)
        if request.reply_to is not None:
            self._answer_or_wait(request, state, event, work)

    def _terms(self, request: Request) -> Terms:
        return self._office.terms(request.tenant if isinstance(request.command, _PLACED) else None)

    def _appended(self, state: TenantState, work: _Work) -> int:
        """An event was appended: answer those whom the new state answers; gives the event's index."""
        index = work.appended
        work.appended += 1
        work.touched[state.tenant] = state.sequence
        for answered in self._waiters.answered(state):
            waiter = answered.waiter
            work.outcomes.append(
                Outcome(waiter.request, answered.answer, self._status(state), None, work.appended, waiter)
            )
        return index

    def _answer_or_wait(self, request: Request, state: TenantState, event: int | None, work: _Work) -> None:
        reply = answer(state, request.command)
        if reply is not Answer.PENDING:
            self._answer(request, reply, state, work, event)
            return
        waiter = self._waiters.add(request)
        if waiter is None:
            refusal = Rejection(Initializing, "too many callers wait for this tenant; ask again")
            self._answer(request, refusal, state, work, event)
        elif event is not None:
            work.waiting.append((waiter, event))

    def _answer(
        self, request: Request, reply: Answer | Rejection, state: TenantState, work: _Work, event: int | None = None
    ) -> None:
        if request.reply_to is None:
            return
        found = self._health(state) if isinstance(request.command, CheckHealth) and reply is Answer.OK else UNSET
        work.outcomes.append(Outcome(request, reply, self._status(state), event, work.appended, health=found))

    def _status(self, state: TenantState) -> TenantStatus:
        users = self._office.users.count(state.tenant)
        unwanted = self._office.unwanted(state.tenant) if state.lifecycle is Lifecycle.ABSENT else None
        return self._office.replies.status(state, self.partition.claim, users, unwanted)

    def _health(self, state: TenantState) -> HealthStatus:
        """What a health check finds."""
        found = health(state, self._office.users.count(state.tenant), self._office.migrations)
        return HealthStatus(*found, self._office.region, self.partition.claim.worker)

    async def _settle(self, work: _Work, flight: Flight | None) -> None:
        """Wait for the proof, then answer and act."""
        offsets: Sequence[int] = ()
        if flight is not None:
            offsets = await flight.landed
        elif work.outcomes:
            await self.partition.verify()
        self._act(work, offsets)
        work.receipts.seal()
        await work.receipts.delivered

    def _act(self, work: _Work, offsets: Sequence[int]) -> None:
        replies = self._office.replies
        for waiter, index in work.waiting:
            waiter.event = replies.position(self.number, offsets[index])
        for outcome in work.outcomes:
            event = outcome.waiter.event if outcome.waiter is not None else None
            if outcome.event is not None:
                event = replies.position(self.number, offsets[outcome.event])
            # What was appended after the status was taken is not in it, and so not before its position.
            known = offsets[outcome.seen - 1] if outcome.seen else work.known
            self._bring_up_to_date(outcome)
            replies.answer(outcome, event, replies.position(self.number, known), self.partition.claim, work.receipts)
        for tenant, sequence in work.touched.items():
            state = self.partition.state.tenant(tenant)
            if state.sequence == sequence:
                self._pursue(state)

    def _bring_up_to_date(self, outcome: Outcome) -> None:
        """A health check that was proved migrates a database that nobody uses, if it is not migrated."""
        found = outcome.health
        if isinstance(found, HealthStatus) and found.migrations_pending and found.connected_cluster == 0:
            state = self.state(outcome.request.tenant)
            held = state.pause is not None or state.retry_at is not None
            if reaction(state) is Reaction.REST and not held:
                self._office.effects.migrate(self, state.tenant)

    def _pursue(self, state: TenantState) -> None:
        """Start what a state calls for; it is on the log and nothing newer is on its way."""
        self._timers.arm(state)
        self.attendance.notice(state)
        if state.failures and state.retry_at is None:
            self.report(state.tenant, FailuresWeighed(), "effect:weigh")
        if reaction(state) is Reaction.RECONNECT:
            self.report(state.tenant, ReconnectWanted(), "effect:reconnect")
        else:
            self._office.effects.want(self, state)

    def _expired(self, waiter: Waiter) -> None:
        state = self.partition.state.tenant(waiter.request.tenant)
        refusal = Rejection(Initializing, f"not so yet: {why(state).what}; it goes on, ask again")
        work = self._begin()
        self._answer(waiter.request, refusal, state, work)
        self._spawn(self._settle(work, None))

    def _deadline_reached(self, tenant: str, deadline: Deadline) -> None:
        self.report(tenant, DeadlineReached(deadline), f"timer:{deadline.value}")

    def _spawn(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guard(self, work: Awaitable[None]) -> None:
        try:
            await work
        except OwnershipLost as error:
            if not self._released:
                self._office.lost(self.number, error)
        except Exception as error:  # noqa: BLE001  a step that was decided and not acted on must not go unnoticed
            self._office.failed(error)
