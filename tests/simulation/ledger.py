"""What the events topic says, judged twice at every append: by the real reader, and by rules written anew here.

The rules are few and know nothing of the real fold: a claim counts unless it ranks below the one that counts, and an
event counts if it names the claim that does. Whoever reads the log otherwise is wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

from statemachine import TenantState, deadlines
from statemachine.errors import IllegalEvent
from statemachine.events import Claimed, Event
from statemachine.limits import COMMAND_IDS_KEPT_MAX
from statemachine.partition import Claim, Verdict
from streams.errors import LogCorrupt
from streams.history.judge import Judge
from streams.wire.event import hash_of
from tests.simulation.broker import Stored
from tests.simulation.scheduler import Scheduler

TIMER: str = "timer:"
"""What the causation of an event begins with that a deadline led to."""


class Outcome(NamedTuple):
    """The event that a command led to.

    Attributes:
        tenant: whose command.
        offset: of the event.
        ordinal: how many commands of the tenant led to an event before.
    """

    tenant: str
    offset: int
    ordinal: int


class Ledger:
    """One events partition.

    Attributes:
        claims: those that count, in the order of their offsets.
        since: the step at which each of them began to count.
        states: per tenant the state after each sequence; the first is the state before any event.
        offsets: per tenant the offset of each event that counts.
        command_offset: highest offset of a command that led to an event that counts.
        origins: the same for the topic that clients write to, per partition.
    """

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.since: list[int] = []
        self.states: dict[str, list[TenantState]] = {}
        self.offsets: dict[str, list[int]] = {}
        self.command_offset = -1
        self.origins: dict[int, int] = {}

    def claim_at(self, offset: int) -> Claim | None:
        """The claim that counts after the record at ``offset``."""
        index = bisect_right(self.claims, offset, key=lambda claim: claim.offset)
        return self.claims[index - 1] if index else None

    def sequence(self, tenant: str) -> int:
        """How many events of the tenant count."""
        return len(self.offsets.get(tenant, ()))

    def sequence_at(self, tenant: str, offset: int) -> int:
        """How many of them stand at or before ``offset``."""
        return bisect_right(self.offsets.get(tenant, ()), offset)

    def state(self, tenant: str, sequence: int | None = None) -> TenantState:
        """The tenant's state after ``sequence``, or now."""
        states = self.states.get(tenant)
        if states is None:
            return TenantState(tenant)
        return states[-1 if sequence is None else sequence]

    def tenants_at(self, offset: int) -> dict[str, TenantState]:
        """Every tenant's state after the record at ``offset``; tenants without an event are left out."""
        sequences = {tenant: self.sequence_at(tenant, offset) for tenant in self.states}
        return {tenant: self.states[tenant][sequence] for tenant, sequence in sequences.items() if sequence}

    def deposed_at(self, claim_offset: int) -> int | None:
        """The step at which a claim that counted was followed by another one, None while it is the last."""
        for index, claim in enumerate(self.claims[:-1]):
            if claim.offset == claim_offset:
                return self.since[index + 1]
        return None


class Ledgers:
    """All partitions of the events topic.

    Args:
        scheduler: knows the step.
        topic: the events topic.
        violated: told what is wrong.

    Attributes:
        outcomes: the event that each command led to, by its id.
        void: records that do not count.
    """

    def __init__(self, scheduler: Scheduler, topic: str, violated: Callable[[str], None]) -> None:
        self.judge = Judge(topic)
        self.partitions: defaultdict[int, Ledger] = defaultdict(Ledger)
        self.outcomes: dict[str, Outcome] = {}
        self.void = 0
        self.deadlines_kept = 0
        self.event_types: set[str] = set()
        self._commands: defaultdict[str, int] = defaultdict(int)
        self._scheduler = scheduler
        self._violated = violated

    def appended(self, stored: Stored) -> None:
        """Judge a record that was appended."""
        place = f"events:{stored.partition}:{stored.offset}"
        ledger = self.partitions[stored.partition]
        try:
            record = self.judge.read(stored)  # type: ignore[arg-type]  # it has all that is read of a record
        except LogCorrupt as error:
            self._violated(f"{place} cannot be read: {error}")
            return
        counts = self._claim(ledger, stored.offset, record) if isinstance(record, Claimed) else _counts(ledger, record)
        if isinstance(record, Event) and counts:
            self._check(ledger, stored, record, place)
        self._scheduler.say(f"log: {place} {'counts' if counts else 'is void'}: {_words(record)}")
        self.void += not counts
        try:
            verdict = self.judge.fold(stored, record).verdict  # type: ignore[arg-type]  # see above
        except IllegalEvent as error:
            self._violated(f"{place} counts and cannot follow: {error}")
            return
        if (verdict is Verdict.APPLIED) is not counts:
            self._violated(
                f"{place} is {verdict.value} for readers and {'counts' if counts else 'is void'} by the rules"
            )
        if isinstance(record, Event) and verdict is Verdict.APPLIED:
            state = self.judge.partitions[stored.partition].tenant(record.tenant)
            ledger.states.setdefault(record.tenant, [TenantState(record.tenant)]).append(state)
            ledger.offsets.setdefault(record.tenant, []).append(stored.offset)

    def _claim(self, ledger: Ledger, offset: int, record: Claimed) -> bool:
        claim = Claim(offset, record.worker, record.generation, record.term)
        if ledger.claims:
            before = ledger.claims[-1]
            if (claim.term, claim.generation) < (before.term, before.generation):
                return False
        ledger.claims.append(claim)
        ledger.since.append(self._scheduler.steps)
        return True

    def _check(self, ledger: Ledger, stored: Stored, event: Event, place: str) -> None:
        """What must hold of every event that counts."""
        before = ledger.state(event.tenant)
        self.event_types.add(event.data.type)
        if event.sequence != before.sequence + 1:
            self._violated(f"{place}: sequence {event.sequence} of {event.tenant} where {before.sequence + 1} is due")
        if event.previous_hash != before.hash or hash_of(stored.value or b"") != event.hash:
            self._violated(f"{place}: the chain of {event.tenant} is broken")
        if event.causation.startswith(TIMER):
            self._check_timer(before, event, place)
        if event.command_offset is not None:
            self._check_command(ledger, stored.offset, event, place)

    def _check_timer(self, before: TenantState, event: Event, place: str) -> None:
        due = {name.value: at for name, at in deadlines(before).items()}.get(event.causation.removeprefix(TIMER))
        self.deadlines_kept += 1
        if due is None or event.time < due:
            self._violated(f"{place}: {event.causation} acted at {event.time} and is due at {due}")

    def _check_command(self, ledger: Ledger, offset: int, event: Event, place: str) -> None:
        assert event.command_offset is not None
        if event.command_offset <= ledger.command_offset:
            self._violated(f"{place}: the command at {event.command_offset} follows the one at {ledger.command_offset}")
        ledger.command_offset = max(ledger.command_offset, event.command_offset)
        if event.origin is not None:
            if event.origin.offset <= ledger.origins.get(event.origin.partition, -1):
                self._violated(f"{place}: the command from {event.origin} was decided before")
            ledger.origins[event.origin.partition] = event.origin.offset
        ordinal = self._commands[event.tenant] = self._commands[event.tenant] + 1
        known = self.outcomes.get(event.causation)
        # Beyond the ids that a state remembers a client's own retry is a new command: that is a stated limit.
        if known is not None and ordinal - known.ordinal <= COMMAND_IDS_KEPT_MAX:
            self._violated(f"{place}: command {event.causation} led to an event before, at {known.offset}")
        self.outcomes.setdefault(event.causation, Outcome(event.tenant, offset, ordinal))


def _counts(ledger: Ledger, event: Event) -> bool:
    return bool(ledger.claims) and event.claim == ledger.claims[-1].offset


def _words(record: Claimed | Event) -> str:
    if isinstance(record, Claimed):
        return f"{record.worker} claims in generation {record.generation}, term {record.term}"
    return f"{record.tenant}/{record.sequence}@{record.claim} {record.data.type} by {record.causation}"
