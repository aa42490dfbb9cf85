"""After a wrong event: which rule it breaks, and from where its tenant goes on.

A forged event stands beside the chain, and the next event of the tenant follows from the state before it. After a
lost event the chain goes on from the wrong one. The log itself shows which it was, with the tenant's next event.
"""

from __future__ import annotations

from collections.abc import Iterator

from statemachine.errors import IllegalEvent
from statemachine.events import ConnectStopped, Event
from statemachine.fold import fold
from statemachine.machines import Lifecycle
from statemachine.partition import PartitionState
from statemachine.state import TenantState


class Continuation:
    """Remembers, per tenant, the last event that did not follow, and where the state is not known any more."""

    def __init__(self) -> None:
        self._aside: dict[str, Event] = {}
        self._uncertain: set[str] = set()

    def applied(self, event: Event) -> None:
        """The event followed from the state: whatever was put aside is not what the log goes on from."""
        self._aside.pop(event.tenant, None)
        if isinstance(event.data, ConnectStopped):
            self._uncertain.discard(event.tenant)

    def refused(self, partition: PartitionState, event: Event, error: IllegalEvent) -> Iterator[tuple[str, str]]:
        """Code and message of each rule that ``event``, which was refused with ``error``, breaks."""
        tenant = event.tenant
        state = partition.tenant(tenant)
        aside = self._aside.pop(tenant, None)
        if aside is not None and _follows(event, aside):
            self._uncertain.add(tenant)
            state = state._replace(sequence=aside.sequence, hash=aside.hash)
        broken = list(_broken(partition, state, event))
        if broken or tenant not in self._uncertain:
            self._aside[tenant] = event
            yield from broken or [("illegal_event", str(error))]
        else:
            self._go_on(partition, state, event)

    def _go_on(self, partition: PartitionState, state: TenantState, event: Event) -> None:
        """Take the event's word for the chain; a stop says what the whole state is, so certainty returns with it."""
        if isinstance(event.data, ConnectStopped):
            partition.tenants[event.tenant] = fold(state._replace(lifecycle=Lifecycle.STOPPING), event)
            self._uncertain.discard(event.tenant)
        else:
            partition.tenants[event.tenant] = state._replace(sequence=event.sequence, hash=event.hash)
        if event.command_offset is not None:
            partition.command_offset = event.command_offset
        if event.origin is not None:
            partition.origins[event.origin.partition] = event.origin.offset


def _follows(event: Event, before: Event) -> bool:
    return event.sequence == before.sequence + 1 and event.previous_hash == before.hash


def _broken(partition: PartitionState, state: TenantState, event: Event) -> Iterator[tuple[str, str]]:
    if event.sequence != state.sequence + 1:
        yield "sequence_gap", f"sequence {event.sequence} of tenant {event.tenant!r} where {state.sequence + 1} was due"
    if event.previous_hash != state.hash:
        found, due = event.previous_hash or "none", state.hash or "none"
        yield "chain_broken", f"previous hash {found} of tenant {event.tenant!r} where {due} was due"
    if event.command_offset is not None and partition.is_decided(event.command_offset, event.origin):
        known = f"commands up to {partition.command_offset} led to events before"
        yield "command_repeated", f"command offset {event.command_offset} of tenant {event.tenant!r}; {known}"
