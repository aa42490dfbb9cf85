"""``topics``: make them, and compare them with their declaration."""

from __future__ import annotations

from cyclopts import App
from rich.table import Table
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.errors import TopicsDiffer
from streams.kafka import administration
from streams.terminal.tables import table
from streams.topics import declarations

group = App(
    name="topics",
    help="Make Kafka's topics, or compare them with what they have to be.",
    help_epilogue=example("tenant-connect topics apply", "tenant-connect topics check"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(help_epilogue=example("tenant-connect topics apply --partitions 16 --replication-factor 3"))
def apply(*, invocation: Context) -> None:
    """Make the topics that are missing and mend the policy of the others; partition counts are never changed."""
    changes = administration.apply(invocation.settings)
    names = [declaration.name for declaration in declarations(invocation.settings)]
    said = "\n".join(map(str, changes)) or f"All {len(names)} topics are as declared; nothing was changed."
    invocation.output.show(Text(said), changes)


@group.command(help_epilogue=example("tenant-connect topics check --kafka 127.0.0.1:9092"))
def check(*, invocation: Context) -> int:
    """Compare Kafka's topics with their declaration; ends with 1 when anything differs, and names it."""
    found = administration.differences(invocation.settings)
    count = len(declarations(invocation.settings))
    if not found:
        invocation.output.show(Text(f"All {count} topics are as declared."))
        return 0
    invocation.output.show(_differences(found), found)
    if not invocation.output.as_json:
        plural = "difference" if len(found) == 1 else "differences"
        invocation.output.error(TopicsDiffer(f"{len(found)} {plural} in {count} topics"))
    return TopicsDiffer.exit_code


def _differences(found: list[administration.Difference]) -> Table:
    rows = [(each.topic, each.what, each.declared, each.found) for each in found]
    return table(("topic", "what", "declared", "found"), rows)
