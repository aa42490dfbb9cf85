"""Replies and statuses as bytes: what the owner answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from statemachine.deadlines import deadlines
from statemachine.rejections import Rejection
from statemachine.state import StopReason, TenantState
from statemachine.why import why
from streams.wire.event import event_id

_ENCODER: Final = msgspec.json.Encoder()


class Position(msgspec.Struct, frozen=True):
    """A place in a topic."""

    topic: str
    partition: int
    offset: int


class ReplyError(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a command was refused."""

    code: str
    message: str
    retry_at: datetime | None = None


class Owner(msgspec.Struct, frozen=True):
    """Who owns the tenant: the worker and its claim."""

    worker: str
    claim: int


class WhyStatus(msgspec.Struct, frozen=True):
    """What holds the tenant where it is."""

    code: str
    what: str
    since_event: str | None
    next: str
    at: datetime | None


class TenantStatus(msgspec.Struct, frozen=True):
    """How a tenant is, as its owner or a reader of the log sees it."""

    tenant: str
    region: str | None
    lifecycle: str
    reason: str | None
    database: str
    replication: str
    occupancy: str
    users: int
    owner: Owner | None
    sequence: int
    since: datetime | None
    migrations: int | None
    deadlines: dict[str, datetime]
    why: WhyStatus


class HealthStatus(msgspec.Struct, frozen=True):
    """What a health check found."""

    healthy: bool
    db_connected: bool
    replication_connected: bool
    connected_cluster: int
    migrations_pending: bool
    partitions_failed: tuple[str, ...]
    region: str
    node: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to a command.

    Attributes:
        command: id of the command.
        tenant: whose.
        outcome: ``ok`` or ``error``.
        error: why it was refused, None where it was not.
        status: how the tenant is.
        event: where the event is that the command led to, None for none.
        position: how far the answer knows the log.
        claim: the claim under which it was given.
        at: when.
        health: what a health check found; every other answer has no such member.
    """

    command: str | None
    tenant: str | None
    outcome: str
    error: ReplyError | None
    status: TenantStatus | None
    event: Position | None
    position: Position | None
    claim: int | None
    at: datetime
    health: HealthStatus | msgspec.UnsetType = msgspec.UNSET


_REPLY_DECODER: Final = msgspec.json.Decoder(Reply)


def status_of(
    state: TenantState, owner: Owner | None, users: int | None = None, unwanted: StopReason | None = None
) -> TenantStatus:
    """The status of ``state``.

    Args:
        state: the tenant's.
        owner: who owns it, None where the reader of the log knows nobody.
        users: how many use it now; by default as many as when its occupancy changed last.
        unwanted: why the catalog does not want it connected now, where that is known.
    """
    explanation = why(state, users, unwanted)
    since_event = None if explanation.since is None else event_id(state.tenant, *explanation.since)
    return TenantStatus(
        tenant=state.tenant,
        region=state.serving_region,
        lifecycle=state.lifecycle.value,
        reason=state.stop.reason.value if state.stop else None,
        database=state.database.value,
        replication=state.replication.value,
        occupancy=state.occupancy.value,
        users=state.users if users is None else users,
        owner=owner,
        sequence=state.sequence,
        since=state.since,
        migrations=state.migrations,
        deadlines={name.value: due for name, due in deadlines(state).items()},
        why=WhyStatus(explanation.code, explanation.what, since_event, explanation.next, explanation.at),
    )


def reply_error(rejection: Rejection) -> ReplyError:
    """A refusal as it stands in a reply."""
    return ReplyError(rejection.error.code, rejection.message, rejection.retry_at)


def encode_reply(reply: Reply) -> bytes:
    """The record of a reply."""
    return _ENCODER.encode(reply)


def decode_reply(value: bytes) -> Reply:
    """The reply that ``value`` holds.

    Raises:
        msgspec.MsgspecError: the bytes are no reply.
    """
    return _REPLY_DECODER.decode(value)


def to_builtins(record: Any) -> Any:
    """A record as plain JSON values, times as RFC 3339."""
    return msgspec.to_builtins(record)
