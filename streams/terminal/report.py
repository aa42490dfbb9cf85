"""What an audit found, as it is shown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Group
from rich.text import Text

from streams.history.audit import AuditReport, Finding
from streams.terminal.tables import table


def report_for_people(report: AuditReport) -> Group | Text:
    """What an audit found, findings first."""
    counts = (
        f"{counted(report.records, 'record')} of {counted(report.tenants, 'tenant')}: {report.valid} count, "
        f"{report.void} written under a claim that did not hold"
    )
    verdict = (
        Text.assemble(("The log is sound. ", "bold green"), f"{counts}.")
        if report.clean
        else Text.assemble((f"The log has {counted(len(report.findings), 'finding')}. ", "bold red"), f"{counts}.")
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


def counted(number: int, noun: str) -> str:
    """A number of things, in words that fit it."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
