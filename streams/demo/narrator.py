"""Tells the story: sections, sentences with the time since the start, and events as they happen."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Final

from rich.console import RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from streams.history import HistoryEntry
from streams.terminal.output import Output
from streams.terminal.views import entry_record, event_name
from streams.terminal.wording import what_happened

WIDTH_MAX: Final = 110
"""Columns of a story; longer lines are hard to read."""

MARGIN: Final = 10
"""Columns for the time since the start."""


class Narrator:
    """Shows a demonstration to people, or tells it to programs as one JSON object a line.

    Args:
        output: of the command.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._width = min(WIDTH_MAX, output.width)
        self._began = time.monotonic()
        self._sections = 0

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._began

    def section(self, title: str) -> None:
        """Begin a section."""
        self._sections += 1
        rule = Rule(Text(f" {self._sections}. {title} ", style="bold"), align="left", style="cyan")
        self._print("section", title, Padding(rule, (1, 0, 0, 0)))

    def say(self, text: str, style: str = "") -> None:
        """One or two sentences."""
        self._print("said", text, self._line(Text(text, style=style)))

    def event(self, entry: HistoryEntry) -> None:
        """Something that was written to the log just now."""
        if self._output.as_json:
            self._output.record({"seconds": round(self.seconds, 3), "kind": "event", **entry_record(entry)})
            return
        who = Text(entry.tenant or f"partition {entry.partition}", style="bold")
        who.pad_right(max(0, 12 - len(who)))
        name = event_name(entry.event)
        name.pad_right(max(0, 20 - len(name)))
        line = Text.assemble(("│ ", "cyan"), who, " ", name, " ", what_happened(entry.event))
        self._output.print(self._line(line), self._width)

    def show(self, what: str, people: RenderableType, records: Iterable[Any]) -> None:
        """A table, or the like.

        Args:
            what: its name for programs.
            people: shown as it is.
            records: its rows for programs.
        """
        self._print(what, list(records), Padding(people, (0, 0, 0, MARGIN)))

    def _print(self, kind: str, content: Any, people: RenderableType) -> None:
        if self._output.as_json:
            self._output.record({"seconds": round(self.seconds, 3), "kind": kind, kind: content})
        else:
            self._output.print(people, self._width)

    def _line(self, text: Text) -> Table:
        line = Table.grid(padding=0)
        line.add_column(width=MARGIN - 2, justify="right", style="dim")
        line.add_column(width=2)
        line.add_column(overflow="fold")
        line.add_row(f"{self.seconds:.1f} s", "", text)
        return line
