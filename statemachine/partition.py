"""The state of one partition: its claims, its tenants, and which records count.

A worker that takes a partition appends a claim; the claim's own offset is the fencing token. An event
counts only if the claim it names is the latest valid claim before it. Kafka's order of the partition
decides, for every reader, in the same way and for ever.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from statemachine.errors import IllegalEvent
from statemachine.events import Claimed, CommandPlace, Event
from statemachine.fold import fold
from statemachine.state import TenantState

NOTHING_FOLDED: Final = -1
"""The folded offset of a partition of which nothing was read: 0 is a real offset."""


class Claim(NamedTuple):
    """A worker's ownership of a partition.

    Attributes:
        offset: where the claim stands in the events partition; its number.
        worker: who claimed.
        generation: generation of the consumer group when it was assigned.
        term: raised where a group was made anew and generations restarted.
    """

    offset: int
    worker: str
    generation: int
    term: int

    def supersedes(self, other: Claim) -> bool:
        """A claim of an older generation must not depose its successor: (term, generation) decides."""
        return (self.term, self.generation) >= (other.term, other.generation)


class Verdict(Enum):
    """What a record did to the partition."""

    APPLIED = "applied"
    VOID = "void"
    SEEN = "seen"


class PartitionState:
    """One events partition, folded record by record.

    Attributes:
        partition: its number.
        claim: the claim that counts, None before the first.
        folded: offset of the last record folded, `NOTHING_FOLDED` for none.
        command_offset: highest offset of a command that led to an event, -1 for none.
        origins: the same on the topic that commands were forwarded from, per partition of that topic.
        tenants: state per tenant id.
        void: number of records that did not count.
    """

    __slots__ = ("claim", "command_offset", "folded", "origins", "partition", "tenants", "void")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.claim: Claim | None = None
        self.folded = NOTHING_FOLDED
        self.command_offset = -1
        self.origins: dict[int, int] = {}
        self.tenants: dict[str, TenantState] = {}
        self.void = 0

    def tenant(self, tenant: str) -> TenantState:
        """The tenant's state; a tenant without events is absent."""
        return self.tenants.get(tenant) or TenantState(tenant)

    def fold(self, offset: int, record: Claimed | Event) -> Verdict:
        """Fold the record at ``offset``; a record already folded is skipped.

        Raises:
            IllegalEvent: the record counts and yet does not follow from what is before it.
        """
        if offset <= self.folded:
            return Verdict.SEEN
        if isinstance(record, Claimed):
            verdict = self._claim(Claim(offset, record.worker, record.generation, record.term))
        else:
            verdict = self._event(record)
        self.folded = offset
        if verdict is Verdict.VOID:
            self.void += 1
        return verdict

    def is_decided(self, offset: int, origin: CommandPlace | None) -> bool:
        """Whether the command at ``offset``, or one after it, has led to an event: it is a redelivery.

        A command that was forwarded twice has two offsets in the region's topic and one ``origin``.
        """
        if offset <= self.command_offset:
            return True
        return origin is not None and origin.offset <= self.origins.get(origin.partition, -1)

    def apply(self, event: Event) -> TenantState:
        """Apply an event of this partition's own claim that is on its way to the log; gives the tenant's new state.

        The event's offset is told later, with `advance`.

        Raises:
            IllegalEvent: the event does not follow from the state.
        """
        if event.command_offset is not None and self.is_decided(event.command_offset, event.origin):
            raise IllegalEvent(
                f"command offset {event.command_offset} of tenant {event.tenant!r} led to a second event; "
                f"commands up to {self.command_offset} were decided before"
            )
        after = self.tenants[event.tenant] = fold(self.tenant(event.tenant), event)
        if event.command_offset is not None:
            self.command_offset = event.command_offset
        if event.origin is not None:
            self.origins[event.origin.partition] = event.origin.offset
        return after

    def advance(self, offset: int) -> None:
        """Everything up to ``offset`` is on the log and in this state."""
        self.folded = max(self.folded, offset)

    def _claim(self, claim: Claim) -> Verdict:
        if self.claim is not None and not claim.supersedes(self.claim):
            return Verdict.VOID
        self.claim = claim
        return Verdict.APPLIED

    def _event(self, event: Event) -> Verdict:
        if self.claim is None or event.claim != self.claim.offset:
            return Verdict.VOID
        self.apply(event)
        return Verdict.APPLIED
