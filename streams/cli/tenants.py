"""``tenants``: the catalog of tenants and their databases."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.text import Text

from streams.catalog.entry import CatalogEntry
from streams.catalog.record import CatalogSummary
from streams.catalog.store import Catalog
from streams.catalog.validation import public
from streams.cli.entries import read_entries
from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.terminal.tables import facts, table

group = App(
    name="tenants",
    help="The catalog: which tenants there are, and where their databases are.",
    help_epilogue=example("tenant-connect tenants put tenants.json", "tenant-connect tenants list"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(
    help_epilogue=example(
        "tenant-connect tenants put tenants.json",
        "tenant-connect tenants put - < tenants.jsonl",
    )
)
def put(file: Annotated[str, Parameter(allow_leading_hyphen=True)], /, *, invocation: Context) -> None:
    """Write tenants into the catalog, in place of what was there; either all of them or none.

    Args:
        file: one JSON object, a JSON array, or one object a line; `-` reads standard input.
        invocation: its settings, and where it shows its answer.
    """
    entries = read_entries(file)
    Catalog(invocation.settings).put_all(entries)
    names = ", ".join(entry.tenant for entry in entries)
    said = f"Wrote {len(entries)} {'tenant' if len(entries) == 1 else 'tenants'}: {names}"
    invocation.output.show(Text(said), map(public, entries))


@group.command(help_epilogue=example("tenant-connect tenants get t1"))
def get(tenant: str, /, *, invocation: Context) -> None:
    """Show a tenant's entry, all but the password.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    entry = Catalog(invocation.settings).get(tenant)
    invocation.output.show(facts(_facts(entry)), [public(entry)])


@group.command(name="list", help_epilogue=example("tenant-connect tenants list --json"))
def list_(*, invocation: Context) -> None:
    """List the tenants of the catalog; no key is needed."""
    found = Catalog(invocation.settings).list()
    people = table(("tenant", "name", "region", "suspended", "replication"), map(_row, found))
    nobody = Text("The catalog is empty; `tenant-connect tenants put FILE` adds tenants.")
    invocation.output.show(people if found else nobody, [each.model_dump(mode="json") for each in found])


@group.command(help_epilogue=example("tenant-connect tenants suspend t1"))
def suspend(tenant: str, /, *, invocation: Context) -> None:
    """Suspend a tenant: its connection is given up, and none is opened while it is so.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    Catalog(invocation.settings).suspend(tenant)
    invocation.output.show(Text(f"{tenant} is suspended."), [{"tenant": tenant, "suspended": True}])


@group.command(help_epilogue=example("tenant-connect tenants resume t1"))
def resume(tenant: str, /, *, invocation: Context) -> None:
    """Lift the suspension of a tenant.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    Catalog(invocation.settings).resume(tenant)
    invocation.output.show(Text(f"{tenant} is not suspended."), [{"tenant": tenant, "suspended": False}])


@group.command(help_epilogue=example("tenant-connect tenants remove t1"))
def remove(tenant: str, /, *, invocation: Context) -> None:
    """Take a tenant out of the catalog. Its events stay on the log.

    Args:
        tenant: its id.
        invocation: its settings, and where it shows its answer.
    """
    Catalog(invocation.settings).remove(tenant)
    invocation.output.show(Text(f"{tenant} is removed."), [{"tenant": tenant, "removed": True}])


def _row(found: CatalogSummary) -> Sequence[object]:
    suspended = Text("yes", style="yellow") if found.suspended else "no"
    return (found.tenant, found.name or "-", found.region, suspended, found.replication.mode.value)


def _facts(entry: CatalogEntry) -> list[tuple[str, object]]:
    return [(name, value) for name, value in _flat(public(entry)) if value is not None]


def _flat(fields: dict[str, Any], above: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in fields.items():
        found += _flat(value, f"{above}{name}.") if isinstance(value, dict) else [(above + name, value)]
    return found
