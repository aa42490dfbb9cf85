"""``audit``: checks the whole log against every rule, and writes it out for others."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal

from cyclopts import App
from rich.console import Group
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.cli.tables import table
from streams.errors import LogCorrupt
from streams.history.audit import AuditReport, Finding, verify
from streams.history.export import export

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


def report_for_people(report: AuditReport) -> Group | Text:
    """What an audit found, findings first."""
    counts = (
        f"{report.records} records of {report.tenants} tenants: {report.valid} count, "
        f"{report.void} written under a claim that did not hold"
    )
    verdict = (
        Text.assemble(("The log is sound. ", "bold green"), f"{counts}.")
        if report.clean
        else Text.assemble((f"The log has {len(report.findings)} findings. ", "bold red"), f"{counts}.")
    )
    rows = [(*_place(found), found.code, found.message) for found in (*report.findings, *report.notes)]
    return Group(table(("topic", "partition", "offset", "code", "message"), rows), Text(), verdict) if rows else verdict


def report_records(report: AuditReport) -> list[dict[str, Any]]:
    """What an audit found, for programs: the findings, the notes, and the report last."""
    counts = {name: getattr(report, name) for name in ("clean", "records", "valid", "void", "tenants")}
    return [
        *({"kind": "finding", **asdict(found)} for found in report.findings),
        *({"kind": "note", **asdict(found)} for found in report.notes),
        {"kind": "report", **counts, "findings": len(report.findings), "notes": len(report.notes)},
    ]


def _place(found: Finding) -> tuple[str, int, int]:
    return found.topic, found.partition, found.offset
