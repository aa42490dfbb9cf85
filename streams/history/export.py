"""The log as text for others: one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from streams.errors import InputInvalid
from streams.history.history import History
from streams.history.source import Source
from streams.settings import Settings

FORMATS: Final = ("jsonl",)
"""The formats of an export."""


def export(settings: Settings, format: str = "jsonl", source: Source | None = None) -> Iterator[str]:  # noqa: A002  the flag's name
    """Every record that counts, as the CloudEvents object that stands on the log, without line ends.

    In order within each partition, and so of each tenant.

    Args:
        settings: where Kafka is, topic prefix and region.
        format: ``jsonl``.
        source: another events topic than the settings'.

    Raises:
        InputInvalid: there is no such format.
        LogCorrupt: a record cannot be read or is illegal; what stands before it was given.
    """
    if format not in FORMATS:
        raise InputInvalid(f"format {format!r} is none of {', '.join(FORMATS)}")
    return (entry.raw.decode() for entry in History(settings, source).entries() if entry.counts)
