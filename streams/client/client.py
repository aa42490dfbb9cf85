"""The client: asks the owners of tenants and waits for their answers, watches events, reports users.

::

    async with ConnectClient(settings) as client:
        status = await client.connect("t1")
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime
from types import TracebackType
from typing import Final, Self, TypeVar
from uuid import uuid4

from pydantic import ValidationError

from statemachine.commands import (
    CheckHealth,
    Command,
    Connect,
    PauseTenant,
    Reload,
    ResumeTenant,
    Retry,
    Shutdown,
    Status,
    Wait,
)
from statemachine.errors import InvalidCommand
from statemachine.limits import CONNECT_TIMEOUT_MS, TENANT_ID_LENGTH_MAX
from statemachine.state import StopReason
from streams.client.broadcasts import BroadcastFollower
from streams.client.exchange import Exchange
from streams.client.following import followed
from streams.client.refusals import refusal
from streams.errors import InputInvalid, OwnerUnavailable
from streams.history import History, HistoryEntry, Start
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.broadcast import Broadcast
from streams.wire.command import Request, Unreadable, decode_command, encode_command
from streams.wire.reply import HealthStatus, Reply, TenantStatus
from streams.wire.users import TIME_TO_LIVE_MS, UserReport

GRACE_S: Final = 3.0
"""How much longer than the owner the client waits: the owner's last word needs its way back."""

Choice = TypeVar("Choice", Wait, StopReason)


class ConnectClient:
    """Talks to the owners of tenants. Use it as ``async with``; one client serves any number of callers at once.

    Every method that asks an owner raises the class of the error's code (`statemachine.errors.REFUSALS`; each is
    also a `streams.client.Answered` with ``reply`` and ``retry_at``), `OwnerUnavailable` where nobody answered in
    time, and `KafkaUnreachable` where the command did not reach Kafka.

    Args:
        settings: where Kafka is, topic prefix and region; the region decides whose events are watched.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings)
        self._exchange = Exchange(settings)
        self._closing = asyncio.Event()

    async def __aenter__(self) -> Self:
        await self._exchange.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._exchange.close()

    async def connect(
        self, tenant: str, *, wait: str = "ready", timeout_ms: int = CONNECT_TIMEOUT_MS, requested_by: str | None = None
    ) -> TenantStatus:
        """Connect a tenant; its status once it is so.

        Args:
            tenant: the tenant's id.
            wait: ``ready``, ``streaming``, or ``no`` to return as soon as it was asked for.
            timeout_ms: how long to wait, in milliseconds.
            requested_by: kept in the event, for whoever reads it later.

        Raises:
            Initializing: it is not so yet; connecting goes on.
        """
        command = Connect(_one_of(Wait, wait, "wait"), timeout_ms, requested_by)
        return await self._status(tenant, command, timeout_ms)

    async def status(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> TenantStatus:
        """How a tenant is, from its owner; starts nothing."""
        return await self._status(tenant, Status(), timeout_ms)

    async def shutdown(
        self, tenant: str, *, reason: str = "requested", timeout_ms: int = CONNECT_TIMEOUT_MS
    ) -> TenantStatus:
        """Give a tenant's connection up; fine where there is none. ``reason`` is a stop reason of the contract."""
        return await self._status(tenant, Shutdown(_one_of(StopReason, reason, "reason")), timeout_ms)

    async def reload(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> TenantStatus:
        """Give a tenant's connection up and connect it again; its status once it is ready."""
        return await self._status(tenant, Reload(), timeout_ms)

    async def check_health(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> HealthStatus:
        """How healthy a tenant is; starts no connection."""
        reply = await self._ask(tenant, CheckHealth(), timeout_ms)
        if not isinstance(reply.health, HealthStatus):
            raise OwnerUnavailable(f"the answer to command {reply.command} of tenant {tenant!r} carries no health")
        return reply.health

    async def pause(
        self,
        tenant: str,
        *,
        reason: str = "",
        author: str = "",
        until: datetime | None = None,
        timeout_ms: int = CONNECT_TIMEOUT_MS,
    ) -> TenantStatus:
        """Stop a tenant and refuse connects until it is resumed, or until ``until`` (aware)."""
        return await self._status(tenant, PauseTenant(reason, author, until), timeout_ms)

    async def resume(
        self, tenant: str, *, reason: str = "", author: str = "", timeout_ms: int = CONNECT_TIMEOUT_MS
    ) -> TenantStatus:
        """Lift a pause."""
        return await self._status(tenant, ResumeTenant(reason, author), timeout_ms)

    async def retry(
        self, tenant: str, *, reason: str = "", author: str = "", timeout_ms: int = CONNECT_TIMEOUT_MS
    ) -> TenantStatus:
        """End a tenant's waiting period now."""
        return await self._status(tenant, Retry(reason, author), timeout_ms)

    async def send(self, tenant: str, command: Command, *, timeout_s: float, command_id: str | None = None) -> Reply:
        """Send a command and wait for the reply, be it an error.

        Args:
            tenant: whose.
            command: what is asked.
            timeout_s: how long to wait, in seconds. A connect's own time runs from the first sending.
            command_id: chosen when left out. The same id again is the same command, and does nothing twice.

        Raises:
            InvalidCommand: the command breaks the contract; it was not sent.
            OwnerUnavailable: nobody answered in time.
            KafkaUnreachable: the command did not reach Kafka in time.
            DeliveryFailed: the command cannot be sent.
        """
        request = Request(command_id or str(uuid4()), tenant, command, self._exchange.address)
        _check(request, self._settings.value_bytes_max)
        return await self._exchange.ask(tenant, request.id, lambda passed_s: _body(request, passed_s), timeout_s)

    async def watch(self, *tenants: str, start: Start = "now") -> AsyncGenerator[HistoryEntry, None]:
        """Events that count, as they are appended; they end when the client is closed.

        The log of the region is read from its beginning, for only so can be told what counts.

        Args:
            tenants: whose events; everybody's, and the claims, where there are none.
            start: ``now``, ``start`` for all there ever were, or a moment (aware).

        Raises:
            InputInvalid: the moment has no zone.
            LogCorrupt: a record cannot be read or is illegal; the message names its place.
        """
        history = History(self._settings)
        async for entry in followed(lambda: history.follow(tenants, start), self._closing):
            yield entry

    async def broadcasts(self, *tenants: str, start: Start = "now") -> AsyncGenerator[Broadcast, None]:
        """Rows of tenants' databases as they are streamed, at least once; duplicates have the same id.

        What a deposed owner still sent is left out.

        Args:
            tenants: whose; everybody's, where there are none.
            start: ``now``, ``start`` for all that is kept, or a moment (aware).

        Raises:
            InputInvalid: the moment has no zone.
            RecordUnreadable: a record is no broadcast.
        """
        settings = self._settings
        async for broadcast in followed(lambda: BroadcastFollower(settings, tenants, start), self._closing):
            yield broadcast

    async def report_users(self, tenant: str, users: int, *, gateway: str, ttl_ms: int = TIME_TO_LIVE_MS) -> None:
        """Report how many users of a tenant a gateway has now; returns when Kafka has acknowledged it.

        Args:
            tenant: whose users.
            users: how many; 0 is a report too.
            gateway: name of the gateway.
            ttl_ms: how long the report holds, in milliseconds.

        Raises:
            InputInvalid: a value is out of its bounds.
            DeliveryFailed: Kafka did not acknowledge it.
        """
        if not 0 < len(tenant) <= TENANT_ID_LENGTH_MAX or not tenant.isprintable():
            raise InputInvalid(f"a tenant id has 1 to {TENANT_ID_LENGTH_MAX} characters, all of which can be printed")
        try:
            report = UserReport(gateway=gateway, users=users, ttl_ms=ttl_ms)
        except ValidationError as error:
            raise InputInvalid("; ".join(f"{one['loc'][0]}: {one['msg']}" for one in error.errors())) from None
        timeout_s = self._settings.delivery_timeout_ms / 1000 + GRACE_S
        await self._exchange.deliver(self._topics.users, tenant, report.model_dump_json().encode(), timeout_s)

    async def _ask(self, tenant: str, command: Command, timeout_ms: int) -> Reply:
        reply = await self.send(tenant, command, timeout_s=timeout_ms / 1000 + GRACE_S)
        if reply.outcome != "ok":
            raise refusal(reply)
        return reply

    async def _status(self, tenant: str, command: Command, timeout_ms: int) -> TenantStatus:
        reply = await self._ask(tenant, command, timeout_ms)
        if reply.status is None:
            raise OwnerUnavailable(f"the answer to command {reply.command} of tenant {tenant!r} carries no status")
        return reply.status


def _one_of(choices: type[Choice], value: str, field: str) -> Choice:
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(choices)
        raise InvalidCommand(f"data.{field}: {value!r} is none of {known}") from None


def _check(request: Request, value_bytes_max: int) -> None:
    """Read the command as the owner will: what it would refuse is refused here, without a way there and back."""
    try:
        decode_command(request.tenant.encode(), encode_command(request), "", value_bytes_max=value_bytes_max)
    except Unreadable as error:
        raise error.error from None


def _body(request: Request, passed_s: float) -> bytes:
    """The record; a connect that is sent again has only the rest of its time, so that its end stays where it was."""
    command = request.command
    if isinstance(command, Connect):
        left_ms = max(0, command.timeout_ms - round(passed_s * 1000))
        request = request._replace(command=replace(command, timeout_ms=left_ms))
    return encode_command(request)
