"""What happened: the log read as a whole, one tenant's timeline, and the state at any moment.

Nothing here can act: the log is read and folded, and that is all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from statemachine.events import Event
from statemachine.partition import Claim
from statemachine.state import TenantState
from streams.errors import InputInvalid
from streams.history.entry import HistoryEntry
from streams.history.follow import Follower, Start, check_moment
from streams.history.judge import Judge
from streams.history.source import KafkaSource, Source
from streams.kafka.partitioner import partition_of
from streams.log.reader import Stretch
from streams.settings import Settings


class History:
    """The log of one region, read anew by each call; each call blocks while it reads.

    Every method raises `KafkaUnreachable` where no broker answers, `TopicsDiffer` where there is no events topic,
    and `LogCorrupt`, with topic, partition and offset, at a record that cannot be read or does not follow from
    what is before it; `streams.history.audit.verify` goes on after such a record.

    Args:
        settings: where Kafka is, topic prefix and region.
        source: another events topic than the settings'.
    """

    def __init__(self, settings: Settings, source: Source | None = None) -> None:
        self._source = source or KafkaSource(settings)

    def entries(self, partitions: Sequence[int] | None = None, until: datetime | None = None) -> Iterator[HistoryEntry]:
        """Every record of the log as it is now, in order within each partition; void ones are marked as such.

        Args:
            partitions: of these alone; all where left out.
            until: in each partition, up to the last record before the first that happened later (aware).

        Raises:
            InputInvalid: ``until`` names no zone, or there is no such partition.
        """
        yield from self._entries(Judge(self._source.topic), self._stretches(partitions), until)

    def timeline(self, tenant: str) -> list[HistoryEntry]:
        """The events of one tenant that count, in their order; only its partition is read."""
        judge = Judge(self._source.topic)
        entries = self._entries(judge, self._stretch_of(tenant), None)
        return [entry for entry in entries if entry.counts and entry.tenant == tenant]

    def replay(self, tenant: str | None = None, until: datetime | int | None = None) -> dict[str, TenantState]:
        """The state of every tenant, or of one, as it was.

        Args:
            tenant: of this tenant alone; a tenant without events is absent.
            until: the last moment that counts (aware), or with a tenant its last sequence that does; now where left
                out. A sequence that was not reached yet stands for now.

        Raises:
            InputInvalid: ``until`` names no zone, is a sequence without a tenant, or a sequence below 0.
        """
        sequence = until if isinstance(until, int) else None
        moment = until if isinstance(until, datetime) else None
        if sequence is not None:
            _check_sequence(tenant, sequence)
        wanted = self._stretches(None) if tenant is None else self._stretch_of(tenant)
        judge = Judge(self._source.topic)
        states = {} if tenant is None else {tenant: TenantState(tenant)}
        for entry in self._entries(judge, wanted, moment):
            if not entry.counts or not isinstance(entry.event, Event) or tenant not in {None, entry.event.tenant}:
                continue
            if sequence is not None and entry.event.sequence > sequence:
                break
            states[entry.event.tenant] = judge.partitions[entry.partition].tenant(entry.event.tenant)
        return states

    def states(self) -> list[tuple[TenantState, Claim | None]]:
        """The state of every tenant now, in the order of their ids, with the claim that holds its partition."""
        judge = Judge(self._source.topic)
        for _entry in self._entries(judge, self._stretches(None), None):
            pass
        return _states(judge)

    def follow(self, tenants: Sequence[str] = (), start: Start = "now") -> Follower:
        """What counts from ``start`` on, live and without a gap; see `Follower`."""
        return Follower(self._source, tenants, start)

    def _entries(self, judge: Judge, wanted: Sequence[Stretch], until: datetime | None) -> Iterator[HistoryEntry]:
        check_moment(until)
        if until is None:
            yield from map(judge.judge, self._source.records(wanted))
            return
        ended: set[int] = set()
        for record in self._source.records(wanted):
            if record.partition in ended:
                continue
            entry = judge.judge(record)
            if entry.counts and entry.time > until:
                ended.add(entry.partition)
            else:
                yield entry

    def _stretches(self, partitions: Sequence[int] | None) -> list[Stretch]:
        every = self._source.stretches()
        unknown = sorted(set(partitions or ()) - {stretch.partition for stretch in every})
        if unknown:
            raise InputInvalid(f"{self._source.topic} has partitions 0 to {len(every) - 1}, not {unknown}")
        return [stretch for stretch in every if partitions is None or stretch.partition in partitions]

    def _stretch_of(self, tenant: str) -> list[Stretch]:
        every = self._source.stretches()
        return [every[partition_of(tenant, len(every))]]


def _check_sequence(tenant: str | None, sequence: int) -> None:
    if tenant is None:
        raise InputInvalid(f"a sequence is one tenant's; name the tenant whose event {sequence} is meant")
    if sequence < 0:
        raise InputInvalid(f"sequences begin at 1, and 0 is the state before; there is no {sequence}")


def _states(judge: Judge) -> list[tuple[TenantState, Claim | None]]:
    found = [
        (state, partition.claim) for partition in judge.partitions.values() for state in partition.tenants.values()
    ]
    return sorted(found, key=lambda pair: pair[0].tenant)
