"""Commands to the owner of a tenant: connect, status, shutdown and the others."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, TypeVar

from cyclopts import App, Parameter, validators
from rich.console import RenderableType

from statemachine.commands import Wait
from statemachine.limits import CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS_MAX
from streams.cli.explanation import explanation
from streams.cli.guidance import example
from streams.cli.invocation import Context, Invocation
from streams.cli.moments import parse_moment
from streams.client.client import ConnectClient
from streams.terminal.tables import facts
from streams.terminal.views import health_facts, status_facts
from streams.wire.reply import TenantStatus

UNHEALTHY = 1
"""Exit code of a health check that finds a tenant unhealthy."""

Answer = TypeVar("Answer")

Timeout = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=CONNECT_TIMEOUT_MS_MAX))]


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(
        connect, help_epilogue=example("tenant-connect connect t1", "tenant-connect connect t1 --wait no --json")
    )
    app.command(status, help_epilogue=example("tenant-connect status t1"))
    app.command(why, help_epilogue=example("tenant-connect why t1"))
    app.command(shutdown, help_epilogue=example("tenant-connect shutdown t1"))
    app.command(reload, help_epilogue=example("tenant-connect reload t1"))
    app.command(health, help_epilogue=example("tenant-connect health t1"))
    app.command(
        pause,
        help_epilogue=example('tenant-connect pause t1 --reason "moving its database" --until 2030-01-31T12:00:00Z'),
    )
    app.command(resume, help_epilogue=example("tenant-connect resume t1"))
    app.command(retry, help_epilogue=example('tenant-connect retry t1 --reason "password rotated"'))


def connect(
    tenant: str, /, *, wait: Wait = Wait.READY, timeout_ms: Timeout = CONNECT_TIMEOUT_MS, invocation: Context
) -> None:
    """Connect a tenant, and show how it is once it is connected.

    Args:
        tenant: its id.
        wait: `ready` until its database is migrated and partitioned, `streaming` until its rows are streamed, `no` to
            be told at once.
        timeout_ms: milliseconds to wait for that; connecting goes on afterwards.
        invocation: its settings, and where it shows its answer.
    """
    _ask(invocation, lambda client: client.connect(tenant, wait=wait, timeout_ms=timeout_ms))


def status(tenant: str, /, *, invocation: Context) -> None:
    """Show how a tenant is, as its owner knows it; nothing is started.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    _ask(invocation, lambda client: client.status(tenant))


def why(tenant: str, /, *, invocation: Context) -> None:
    """Say what holds a tenant where it is, since which event, and what happens next.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    _ask(invocation, lambda client: client.status(tenant), explanation)


def shutdown(tenant: str, /, *, invocation: Context) -> None:
    """Give a tenant's connection up; also fine where there is none.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    _ask(invocation, lambda client: client.shutdown(tenant))


def reload(tenant: str, /, *, invocation: Context) -> None:
    """Give a tenant's connection up and connect it again, with what the catalog says now.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    _ask(invocation, lambda client: client.reload(tenant))


def health(tenant: str, /, *, invocation: Context) -> int:
    """Ask whether a tenant is healthy; ends with 1 when it is not. No connection is started.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    found = asyncio.run(_answer(invocation, lambda client: client.check_health(tenant)))
    invocation.output.show(facts(health_facts(found)), [found])
    return 0 if found.healthy else UNHEALTHY


def pause(
    tenant: str,
    /,
    *,
    reason: str = "",
    author: str | None = None,
    until: str | None = None,
    invocation: Context,
) -> None:
    """Stop a tenant and refuse to connect it, until it is resumed.

    Args:
        tenant: its id.
        reason: why, for those who ask.
        author: who; you, when left out.
        until: when it lifts itself, such as 2030-01-31T12:00:00Z.
        invocation: its settings, and where it shows its answer.
    """
    who = _author(author)
    moment: datetime | None = None if until is None else parse_moment(until)
    _ask(invocation, lambda client: client.pause(tenant, reason=reason, author=who, until=moment))


def resume(tenant: str, /, *, reason: str = "", author: str | None = None, invocation: Context) -> None:
    """Lift a pause; nothing is connected by it.

    Args:
        tenant: its id.
        reason: why, for those who read the log.
        author: who; you, when left out.
        invocation: its settings, and where it shows its answer.
    """
    who = _author(author)
    _ask(invocation, lambda client: client.resume(tenant, reason=reason, author=who))


def retry(tenant: str, /, *, reason: str = "", author: str | None = None, invocation: Context) -> None:
    """End a tenant's waiting period now, once what made it wait is mended.

    Args:
        tenant: its id.
        reason: why, for those who read the log.
        author: who; you, when left out.
        invocation: its settings, and where it shows its answer.
    """
    who = _author(author)
    _ask(invocation, lambda client: client.retry(tenant, reason=reason, author=who))


def _ask(
    invocation: Invocation,
    ask: Callable[[ConnectClient], Awaitable[TenantStatus]],
    people: Callable[[TenantStatus], RenderableType] | None = None,
) -> None:
    answer = asyncio.run(_answer(invocation, ask))
    show = people or (lambda found: facts(status_facts(found)))
    invocation.output.show(show(answer), [answer])


async def _answer(invocation: Invocation, ask: Callable[[ConnectClient], Awaitable[Answer]]) -> Answer:
    async with ConnectClient(invocation.settings) as client:
        return await ask(client)


def _author(given: str | None) -> str:
    return _user() if given is None else given


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An account without a name, as containers have: the pause says "an operator" then.
        return ""
