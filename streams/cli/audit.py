"""``audit``: checks the whole log against every rule, and writes it out for others."""

from __future__ import annotations

from typing import Literal

from cyclopts import App

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.errors import LogCorrupt
from streams.history.audit import verify
from streams.history.export import export
from streams.terminal.report import report_for_people, report_records

group = App(
    name="audit",
    help="Check the event log against every rule, or write it out.",
    help_epilogue=example("tenant-connect audit verify", "tenant-connect audit export --format jsonl > events.jsonl"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(name="verify", help_epilogue=example("tenant-connect audit verify --json"))
def verify_(*, invocation: Context) -> int:
    """Check every record: hashes and chain, sequences, claims, and what may follow what.

    It ends with 1 when anything is wrong, and names topic, partition and offset of each finding. With --json the last
    line is the report.
    """
    report = verify(invocation.settings)
    invocation.output.show(report_for_people(report), report_records(report))
    return 0 if report.clean else LogCorrupt.exit_code


@group.command(name="export", help_epilogue=example("tenant-connect audit export --format jsonl > events.jsonl"))
def export_(*, format: Literal["jsonl"] = "jsonl", invocation: Context) -> None:  # noqa: A002 - the flag's name
    """Write every event that counts to standard output, as the CloudEvents object that stands on the log.

    Args:
        format: `jsonl`, one object a line.
        invocation: its settings, and where it shows its answer.
    """
    for line in export(invocation.settings, format):
        invocation.output.line(line)
