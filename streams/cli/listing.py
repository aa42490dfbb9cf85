"""``list``: every tenant as the log has it; no worker is asked."""

from __future__ import annotations

from cyclopts import App
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.history import History
from streams.terminal.tables import table
from streams.terminal.views import STATUS_COLUMNS, status_row
from streams.wire.reply import Owner, status_of


def add_to(app: App) -> None:
    """Add this command."""
    app.command(list_, name="list", help_epilogue=example("tenant-connect list", "tenant-connect list --json"))


def list_(*, invocation: Context) -> None:
    """List every tenant that ever had an event, with its state, read from the log; no worker has to run.

    The owner is the one that claimed the tenant's partition last.
    """
    found = [
        status_of(state, Owner(claim.worker, claim.offset) if claim else None)
        for state, claim in History(invocation.settings).states()
    ]
    nobody = Text("Nothing has happened yet; `tenant-connect connect TENANT` connects a tenant of the catalog.")
    invocation.output.show(table(STATUS_COLUMNS, map(status_row, found)) if found else nobody, found)
