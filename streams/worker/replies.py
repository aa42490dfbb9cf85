"""Replies: what the owner answers, under its claim and as far as it knows the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from statemachine.answers import Answer
from statemachine.limits import TENANT_ID_LENGTH_MAX
from statemachine.partition import Claim
from statemachine.rejections import Rejection
from statemachine.state import StopReason, TenantState
from streams.log.producer import LogProducer, Receipts
from streams.wire.command import ReplyTo, Request, Unreadable
from streams.wire.reply import HealthStatus, Owner, Position, Reply, TenantStatus, encode_reply, reply_error, status_of
from streams.worker.waiters import Waiter


class Outcome(NamedTuple):
    """An answer that waits for its proof: the acknowledgement of a run, or the read index.

    Attributes:
        request: what is answered.
        answer: OK or a refusal.
        status: how the tenant was when it was decided.
        event: index of the event, within the run, that the command led to; None for none.
        seen: number of events of the run that the status knows of.
        waiter: the caller who waited, which knows where the event is that its command led to.
        health: what a health check found.
    """

    request: Request
    answer: Answer | Rejection
    status: TenantStatus
    event: int | None
    seen: int
    waiter: Waiter | None = None
    health: HealthStatus | UnsetType = UNSET


class Replies:
    """Sends replies.

    Args:
        topic: the replies topic; nothing else is ever answered to.
        partitions: its number of partitions.
        events: the events topic, for positions.
        producer: where they go.
        now: the clock.

    Attributes:
        now: the same.
    """

    def __init__(
        self, topic: str, partitions: int, events: str, producer: LogProducer, now: Callable[[], datetime]
    ) -> None:
        self._topic = topic
        self._partitions = partitions
        self._events = events
        self._producer = producer
        self.now = now

    def check(self, request: Request) -> None:
        """Refuse a command whose answer would go anywhere but to the replies topic.

        Raises:
            Unreadable: the address is not a partition of the replies topic.
        """
        if request.reply_to is not None and not self._is_ours(request.reply_to):
            raise Unreadable(
                f"reply_to must be a partition of {self._topic} below {self._partitions}, "
                f"not {request.reply_to.topic[:64]}:{request.reply_to.partition}",
                request.id,
            )

    def refuse(self, error: Unreadable, key: bytes | None, receipts: Receipts) -> None:
        """Answer a command that could not be read, where it says to whom; ``key`` is its record's."""
        if error.id is None or error.reply_to is None or not self._is_ours(error.reply_to):
            return
        answer = Rejection(type(error.error), str(error))
        tenant = None if key is None else key.decode(errors="replace")[:TENANT_ID_LENGTH_MAX]
        reply = Reply(error.id, tenant, "error", reply_error(answer), None, None, None, None, self.now())
        self._send(error.reply_to, reply, receipts)

    def refuse_request(self, request: Request, rejection: Rejection, receipts: Receipts) -> None:
        """Answer a command that reached no owner."""
        if request.reply_to is None:
            return
        error = reply_error(rejection)
        reply = Reply(request.id, request.tenant, "error", error, None, None, None, None, self.now())
        self._send(request.reply_to, reply, receipts)

    def answer(
        self, outcome: Outcome, event: Position | None, known: Position, claim: Claim, receipts: Receipts
    ) -> None:
        """Answer a command whose outcome is proved: up to ``known``, nothing on the log deposes ``claim``."""
        if outcome.request.reply_to is None:
            return
        error = reply_error(outcome.answer) if isinstance(outcome.answer, Rejection) else None
        reply = Reply(
            command=outcome.request.id,
            tenant=outcome.request.tenant,
            outcome="error" if error else "ok",
            error=error,
            status=outcome.status,
            event=event,
            position=known,
            claim=claim.offset,
            at=self.now(),
            health=outcome.health,
        )
        self._send(outcome.request.reply_to, reply, receipts)

    def position(self, partition: int, offset: int) -> Position:
        """A place in the events topic."""
        return Position(self._events, partition, offset)

    @staticmethod
    def status(state: TenantState, claim: Claim, users: int | None, unwanted: StopReason | None = None) -> TenantStatus:
        """How a tenant is that so many use now, said by the owner that holds ``claim``."""
        return status_of(state, Owner(claim.worker, claim.offset), users, unwanted)

    def _is_ours(self, address: ReplyTo) -> bool:
        return address.topic == self._topic and address.partition < self._partitions

    def _send(self, address: ReplyTo, reply: Reply, receipts: Receipts) -> None:
        body = encode_reply(reply)
        self._producer.send(address.topic, reply.command, body, partition=address.partition, receipts=receipts)
