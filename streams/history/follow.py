"""Following the log live: what counted from a moment on, and what counts while it is appended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from streams.errors import InputInvalid
from streams.history.entry import HistoryEntry
from streams.history.judge import Judge
from streams.history.source import Source
from streams.kafka.partitioner import partition_of
from streams.log.reader import Stretch

Start = Literal["now", "start"] | datetime
"""Where following begins: what is appended from now on, the first record, or a moment (aware)."""


class Follower:
    """Reads the log from its beginning, for only so can be told what counts, and gives it from ``start`` on.

    Blocking: run it outside the event loop. Close it in the end.

    Args:
        source: the events topic.
        tenants: whose events are given; of everybody, and the claims, where there are none.
        start: from when on.

    Raises:
        InputInvalid: ``start`` is a time without a zone.
        KafkaUnreachable: no broker answered.
        TopicsDiffer: there is no events topic.
    """

    def __init__(self, source: Source, tenants: Sequence[str], start: Start) -> None:
        check_moment(start)
        every = source.stretches()
        places = {partition_of(tenant, len(every)) for tenant in tenants}
        wanted = [stretch for stretch in every if not tenants or stretch.partition in places]
        self._tenants = frozenset(tenants)
        self._begun = {stretch.partition: _first(stretch, start) for stretch in wanted}
        self._since = start if isinstance(start, datetime) else None
        self._judge = Judge(source.topic)
        self._tail = source.tail(wanted)

    def poll(self) -> list[HistoryEntry]:
        """What counts among the next records; may be empty. Waits for a bounded time.

        Raises:
            LogCorrupt: a record cannot be read or is illegal.
            KafkaUnreachable: the broker refused.
        """
        entries = [self._judge.judge(record) for record in self._tail.poll()]
        return [entry for entry in entries if self._is_wanted(entry)]

    def close(self) -> None:
        """Give the connection up."""
        self._tail.close()

    def _is_wanted(self, entry: HistoryEntry) -> bool:
        if not entry.counts or entry.offset < self._begun[entry.partition]:
            return False
        if self._since is not None and entry.time < self._since:
            return False
        return not self._tenants or entry.tenant in self._tenants


def check_moment(moment: object) -> None:
    """Refuse a time that names no zone: it would mean another moment on every machine.

    Raises:
        InputInvalid: it is such a time.
    """
    if isinstance(moment, datetime) and moment.tzinfo is None:
        raise InputInvalid(f"{moment.isoformat()} has no zone; write {moment.isoformat()}Z for UTC")


def _first(stretch: Stretch, start: Start) -> int:
    return stretch.end if start == "now" else stretch.first
