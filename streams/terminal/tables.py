"""How tables, times and states look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

STYLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ready": "green",
        "up": "green",
        "streaming": "green",
        "checking": "yellow",
        "provisioning": "yellow",
        "stopping": "yellow",
        "recovering": "yellow",
        "waiting": "yellow",
        "absent": "dim",
        "down": "dim",
        "off": "dim",
    }
)
"""Colours of states."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Table:
    """A table without vertical lines; cells are text as it is, or already styled."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return made


def facts(rows: Iterable[tuple[str, object]]) -> Table:
    """Names on the left, what they are on the right."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column(style="bold")
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else Text(str(value)))
    return made


def state(name: str) -> Text:
    """The name of a state in its colour."""
    return Text(name, style=STYLES.get(name, ""))


def moment(time: datetime | None) -> str:
    """A time in UTC, to the second; a dash for none."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if time else "-"
