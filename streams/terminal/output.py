"""What a command shows: text for people, or one JSON object a line for programs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final, TextIO

import msgspec
from rich.console import Console, RenderableType
from rich.text import Text

from statemachine.errors import TenantConnectError
from streams.client import Answered
from streams.terminal.tables import moment

PLAIN_WIDTH: Final = 240
"""Columns of text that goes into a file or another program, where nothing has to be wrapped."""

_ENCODER: Final = msgspec.json.Encoder(enc_hook=str)


class Output:
    """Standard output and standard error of one command.

    Attributes:
        as_json: whether standard output carries JSON, and nothing else.

    Args:
        out: standard output.
        err: standard error.
    """

    def __init__(self, out: TextIO, err: TextIO, *, as_json: bool) -> None:
        self.as_json = as_json
        self._out = out
        self._people = _console(out)
        self._notes = _console(err)

    @property
    def width(self) -> int:
        """Columns of standard output."""
        return self._people.width

    def record(self, record: Any) -> None:
        """One line of JSON: a dict, a dataclass or a msgspec struct. Times are RFC 3339."""
        self._out.write(_ENCODER.encode(record).decode() + "\n")
        self._out.flush()

    def line(self, text: str) -> None:
        """One line as it is, for a program or a shell that reads it."""
        self._out.write(text + "\n")
        self._out.flush()

    def show(self, people: RenderableType, records: Iterable[Any] = ()) -> None:
        """Show the same thing either way.

        Args:
            people: shown as it is.
            records: one line of JSON each.
        """
        if self.as_json:
            for record in records:
                self.record(record)
        else:
            self.print(people)

    def print(self, people: RenderableType, width: int | None = None) -> None:
        """Show something to people.

        Args:
            people: what to show.
            width: in so many columns at most.
        """
        if self._people.is_terminal:
            self._people.print(people, width=width)
            return
        with self._people.capture() as captured:
            self._people.print(people, width=width)
        # Columns are padded with blanks, which only get in the way of other programs.
        self._out.writelines(line.rstrip() + "\n" for line in captured.get().splitlines())
        self._out.flush()

    def note(self, text: str) -> None:
        """Something beside the answer, for people only; it goes to standard error."""
        if not self.as_json:
            self._notes.print(Text(text, style="dim"), soft_wrap=True)

    def error(self, error: TenantConnectError) -> None:
        """What went wrong, and what to do next: on standard error, or as a JSON object."""
        retry_at = error.retry_at if isinstance(error, Answered) else None
        if self.as_json:
            when = {} if retry_at is None else {"retry_at": retry_at}
            self.record({"error": {"code": error.code, "message": str(error), **when, "remedy": error.remedy}})
            return
        self._notes.print(Text.assemble((error.code, "bold red"), f": {error}"), soft_wrap=True)
        if retry_at is not None:
            self._notes.print(Text.assemble(("→ ", "bold"), f"retry_at is {moment(retry_at)}"), soft_wrap=True)
        self._notes.print(Text.assemble(("→ ", "bold"), error.remedy), soft_wrap=True)


def _console(file: TextIO) -> Console:
    return Console(file=file, highlight=False, width=None if file.isatty() else _plain_width())


def _plain_width() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and int(columns) > 0 else PLAIN_WIDTH
