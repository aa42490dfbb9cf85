"""``watch``, ``broadcasts``, ``timeline`` and ``replay``: what happens, what happened, and how things were."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context, Invocation
from streams.cli.moments import parse_start, parse_until
from streams.client.client import ConnectClient
from streams.history import History
from streams.terminal.tables import table
from streams.terminal.views import (
    STATUS_COLUMNS,
    TIMELINE_COLUMNS,
    broadcast_line,
    entry_line,
    entry_record,
    status_row,
    timeline_row,
)
from streams.wire.reply import status_of


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(
        watch,
        help_epilogue=example("tenant-connect watch", "tenant-connect watch t1 t2 --from 2030-01-31T12:00:00Z --json"),
    )
    app.command(
        broadcasts,
        help_epilogue=example("tenant-connect broadcasts t1", "tenant-connect broadcasts --from start --json"),
    )
    app.command(timeline, help_epilogue=example("tenant-connect timeline t1"))
    app.command(
        replay,
        help_epilogue=example(
            "tenant-connect replay --until 2030-01-31T12:00:00Z", "tenant-connect replay --tenant t1 --until 3"
        ),
    )


def watch(
    *tenants: str,
    from_: Annotated[str, Parameter(name="--from")] = "now",
    invocation: Context,
) -> None:
    """Show events as they happen, until Ctrl-C. Only what counts is shown.

    Args:
        tenants: of these alone; of everybody, and workers' claims, when left out.
        from_: `now`, `start` for everything there is, or a time such as 2030-01-31T12:00:00Z.
        invocation: its settings, and where it shows its answer.
    """
    asyncio.run(_watch(tenants, parse_start(from_), invocation))


def broadcasts(
    *tenants: str,
    from_: Annotated[str, Parameter(name="--from")] = "now",
    invocation: Context,
) -> None:
    """Show rows of tenants' databases as they are streamed, until Ctrl-C.

    Args:
        tenants: of these alone; of everybody, when left out.
        from_: `now`, `start` for everything that is kept, or a time such as 2030-01-31T12:00:00Z.
        invocation: its settings, and where it shows its answer.
    """
    asyncio.run(_broadcasts(tenants, parse_start(from_), invocation))


def timeline(tenant: str, /, *, invocation: Context) -> None:
    """Show everything that ever happened to a tenant, in order.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    entries = History(invocation.settings).timeline(tenant)
    people = table(TIMELINE_COLUMNS, map(timeline_row, entries)) if entries else Text(f"{tenant} has no events.")
    invocation.output.show(people, map(entry_record, entries))


def replay(*, tenant: str | None = None, until: str | None = None, invocation: Context) -> None:
    """Show the state as it was at a moment, folded anew from the log. Nothing is sent and nothing is changed.

    Args:
        tenant: of this tenant alone.
        until: the last moment that counts, such as 2030-01-31T12:00:00Z; with a tenant, also its last sequence that
            does. Now, when left out.
        invocation: its settings, and where it shows its answer.
    """
    states = History(invocation.settings).replay(tenant, parse_until(until))
    found = [status_of(states[name], None) for name in sorted(states)]
    people = table(STATUS_COLUMNS[:-2], [status_row(status)[:-2] for status in found])
    invocation.output.show(people if found else Text("Nothing had happened yet."), found)


async def _broadcasts(
    tenants: tuple[str, ...], start: datetime | Literal["now", "start"], invocation: Invocation
) -> None:
    output = invocation.output
    async with ConnectClient(invocation.settings) as client:
        async for broadcast in client.broadcasts(*tenants, start=start):
            output.show(broadcast_line(broadcast), [broadcast])


async def _watch(tenants: tuple[str, ...], start: datetime | Literal["now", "start"], invocation: Invocation) -> None:
    output = invocation.output
    async with ConnectClient(invocation.settings) as client:
        async for entry in client.watch(*tenants, start=start):
            output.show(entry_line(entry), [entry_record(entry)])
