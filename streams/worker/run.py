"""A run: records of one partition that were fetched together and are handled together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

CANARY: Final = b'{"type":"canary"}'
"""The value of a record without a key that a worker sends to see that it still reads the partition."""


class Fetched(Protocol):
    """One record as the consumer hands it over."""

    @property
    def offset(self) -> int:
        """Its offset."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]:
        """Its headers."""


class Run(NamedTuple):
    """Consecutive records of one partition.

    Attributes:
        topic: the topic.
        partition: the partition.
        records: the records, at least one, in the order of their offsets.
        follows: last offset of the run that was handed over before, None for the first after a seek.
        epoch: number of the seek after which it was fetched.
    """

    topic: str
    partition: int
    records: Sequence[Fetched]
    follows: int | None
    epoch: int = 0

    @property
    def last(self) -> int:
        """The last record's offset."""
        return self.records[-1].offset

    def commands(self) -> Iterator[Fetched]:
        """The records that somebody meant to be acted on."""
        return (record for record in self.records if record.key is not None or record.value != CANARY)
