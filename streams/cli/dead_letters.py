"""``dead-letters``: records that could not be read, where they came from and why, and a second try for them."""

from __future__ import annotations

from cyclopts import App
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.cli.parked import Parked, parked, produce_again
from streams.terminal.tables import table

VALUE_CHARACTERS_SHOWN = 60
"""How much of a value a table shows."""

group = App(
    name="dead-letters",
    help="Records that could not be read: where they came from, and why they were put aside.",
    help_epilogue=example("tenant-connect dead-letters list", "tenant-connect dead-letters requeue 3 17"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(name="list", help_epilogue=example("tenant-connect dead-letters list --json"))
def list_(*, invocation: Context) -> None:
    """List what was put aside, with its source and the reason."""
    found = parked(invocation.settings)
    columns = ("partition", "offset", "source", "code", "message", "key", "value")
    people = table(columns, map(_row, found)) if found else Text("There are no dead letters.")
    invocation.output.show(people, (letter.record() for letter in found))


@group.command(help_epilogue=example("tenant-connect dead-letters requeue 3 17"))
def requeue(partition: int, offset: int, /, *, invocation: Context) -> None:
    """Write a dead letter, byte for byte, to the topic it came from; it is handled there as if it were new.

    Args:
        partition: of the dead letter, as `dead-letters list` shows it.
        offset: of the dead letter.
        invocation: its settings, and where it shows its answer.
    """
    topic = produce_again(invocation.settings, partition, offset)
    record = {"partition": partition, "offset": offset, "topic": topic}
    invocation.output.show(Text(f"Dead letter {partition}:{offset} is on {topic} again."), [record])


def _row(letter: Parked) -> tuple[object, ...]:
    text = letter.value_text(VALUE_CHARACTERS_SHOWN)
    value = Text("null", style="dim") if text is None else f"{text} ({len(letter.letter.value or b'')} bytes)"
    place = f"{letter.topic}:{letter.partition}:{letter.offset}"
    found = letter.letter
    return (found.partition, found.offset, place, letter.code, letter.message, letter.key_text, value)
