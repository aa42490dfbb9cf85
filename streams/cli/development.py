"""``dev``: a local Kafka and PostgreSQL for trying things out."""

from __future__ import annotations

import asyncio
import shlex
import signal
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Group
from rich.table import Table
from rich.text import Text

from streams.catalog.store import Catalog
from streams.catalog.validation import public, validate
from streams.cli.guidance import example
from streams.cli.invocation import Context, Invocation
from streams.devstack.rows import send_rows
from streams.devstack.status import PartStatus, StackStatus
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.errors import InputInvalid
from streams.terminal.signals import terminate_on
from streams.terminal.tables import table

group = App(
    name="dev",
    help="A local Kafka and PostgreSQL in the data directory, for trying things out.",
    help_epilogue=example("tenant-connect dev up", "tenant-connect dev status", "tenant-connect dev down"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(help_epilogue=example("tenant-connect dev up", "tenant-connect dev up --data-dir /tmp/try"))
def up(*, invocation: Context) -> None:
    """Start Kafka and PostgreSQL; what runs already is left alone. Other commands find the stack by themselves."""
    # An interrupted start ends what it has started; so must one that is told to end.
    terminate_on(signal.SIGTERM, signal.SIGHUP)
    status = invocation.stack.up(invocation.output.note)
    _show(invocation, status)


@group.command(help_epilogue=example("tenant-connect dev down", "tenant-connect dev down --erase"))
def down(
    *,
    erase: Annotated[bool, Parameter(negative=())] = False,
    invocation: Context,
) -> None:
    """Stop Kafka and PostgreSQL; their data is kept for the next start.

    Args:
        erase: remove the data and the encryption key too.
        invocation: its settings, and where it shows its answer.
    """
    status = invocation.stack.down(invocation.output.note, erase=erase)
    invocation.output.show(Text("The local stack is down."), [_record(invocation, status)])


@group.command(help_epilogue=example("tenant-connect dev status"))
def status(*, invocation: Context) -> None:
    """Show where Kafka and PostgreSQL listen, and whether they answer."""
    _show(invocation, invocation.stack.status())


@group.command(help_epilogue=example("tenant-connect dev tenant t1", "tenant-connect dev tenant t1 --region local"))
def tenant(name: str, /, *, invocation: Context) -> None:
    """Make a database on the local PostgreSQL for a new tenant, and write the tenant into the catalog.

    Args:
        name: the tenant's id, also the name of its database and of its role.
        invocation: its settings, and where it shows its answer.
    """
    settings, server = invocation.settings, invocation.stack.postgres
    catalog = Catalog(settings)
    if any(found.tenant == name for found in catalog.list()):
        raise InputInvalid(f"the catalog has a tenant {name!r}; choose another name")
    database = asyncio.run(create_tenant_database(_superuser(invocation), name))
    entry = validate({"tenant": name, "region": settings.region, "database": database})
    catalog.put(entry)
    said = f"Made database {name} at {server.address} and wrote tenant {name} into the catalog."
    invocation.output.show(Text(f"{said}\nConnect it: tenant-connect connect {name}"), [public(entry)])


@group.command(
    help_epilogue=example(
        "tenant-connect dev row t1",
        """tenant-connect dev row t1 --topic room:1 --event greeting --payload '{"message": "hello"}'""",
    )
)
def row(
    tenant: str,
    /,
    *,
    payload: str = '{"message": "hello"}',
    event: str = "greeting",
    topic: str = "room:1",
    invocation: Context,
) -> None:
    """Write a row into realtime.messages of a tenant that `dev tenant` made, as its application would.

    Args:
        tenant: its id; it was connected before.
        payload: JSON.
        event: the row's event.
        topic: the row's topic.
        invocation: its settings, and where it shows its answer.
    """
    asyncio.run(send_rows(_superuser(invocation), tenant, topic, event, [payload]))
    written = {"tenant": tenant, "topic": topic, "event": event, "payload": payload}
    invocation.output.show(Text(f"Wrote a row for {tenant}: {topic} {event} {payload}"), [written])


def _superuser(invocation: Invocation) -> Superuser:
    server = invocation.stack.postgres
    return Superuser(server.host, server.port, server.user, server.password)


def _show(invocation: Invocation, status: StackStatus) -> None:
    parts = {"Kafka": status.kafka, "PostgreSQL": status.postgres}
    if not any(parts.values()):
        people: Text | Group = Text(f"No stack was ever started in {status.directory}; `tenant-connect dev up` does.")
    elif status.up:
        source = f"source {shlex.quote(str(invocation.stack.environment_path))}"
        people = Group(_table(parts), Text(f"\nFor other programs in this shell:\n  {source}"))
    else:
        people = Group(_table(parts), Text("\n`tenant-connect dev up` starts what is down."))
    invocation.output.show(people, [_record(invocation, status)])


def _table(parts: dict[str, PartStatus | None]) -> Table:
    rows = [
        (name, part.version, part.address, _state(part), part.pid or "-", part.log_path)
        for name, part in parts.items()
        if part is not None
    ]
    return table(("server", "version", "address", "state", "pid", "log"), rows)


def _state(part: PartStatus) -> Text:
    if part.answers:
        return Text("up", style="green")
    return Text("does not answer", style="red") if part.pid else Text("down", style="dim")


def _record(invocation: Invocation, status: StackStatus) -> dict[str, Any]:
    return {
        "up": status.up,
        "directory": status.directory,
        "created_at": status.created_at,
        "kafka": status.kafka,
        "postgres": status.postgres,
        "environment": invocation.stack.environment_path if status.up else None,
    }
