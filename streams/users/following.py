"""One partition of the users' topic: how far it was read, and who uses its tenants as far as that goes."""

from __future__ import annotations

import asyncio
from typing import Final

from statemachine.errors import TenantConnectError
from streams.errors import InputInvalid
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record
from streams.users.counts import Counts, Tally
from streams.wire.users import decode_report

TAKEOVER_MS_MAX: Final = 60_000
"""How long before a partition was taken its reports may have found no reader, in milliseconds."""


class Following:
    """A partition from being taken to being dropped.

    Attributes:
        partition: its number.
        taken_ms: when it was taken, in milliseconds since 1970.
        counts: who uses its tenants.
        known: whether everything was read that stood there when it was taken.
        caught_up: done when that was told.

    Args:
        partition: its number.
        partitions: the topic's number of partitions.
        taken_ms: when it was taken, in milliseconds since 1970.
        tally: where reports are counted.
        caught_up: where to say that everything was read.
    """

    def __init__(
        self, partition: int, partitions: int, taken_ms: int, tally: Tally, caught_up: asyncio.Future[None]
    ) -> None:
        self.partition = partition
        self.taken_ms = taken_ms
        self.counts = Counts(tally)
        self.known = False
        self.caught_up = caught_up
        self._partitions = partitions
        self._tally = tally
        self._turned: set[str] = set()
        self._position = 0
        self._end: int | None = None

    @property
    def has_news(self) -> bool:
        """Whether there is anything that nobody was told yet."""
        return bool(self._turned) or (self.known and not self.caught_up.done())

    def begin(self, position: int, end: int) -> None:
        """Reading begins at ``position``; ``end`` is where the partition ended after it was taken."""
        self._position = position
        self._end = end

    def pass_by(self, offset: int) -> None:
        """There is nothing to read before ``offset``."""
        self._position = max(self._position, offset)

    def take_in(self, record: Record, now_ms: int) -> InputInvalid | None:
        """Take a record in; gives what is wrong with it, where it breaks the contract."""
        self._position = record.offset + 1
        tally = self._tally
        tally.read += 1
        try:
            tenant, report = decode_report(record.key, record.value)
            if not self.counts.reported(tenant):
                self._check_place(tenant)
        except InputInvalid as error:
            tally.unreadable += 1
            return error
        if self.known and report.users and record.timestamp_ms + report.ttl_ms <= now_ms:
            tally.ended += 1
        if self.counts.apply(tenant, report, record.timestamp_ms, now_ms) and self.known:
            self._turned.add(tenant)
        return None

    def pass_time(self, now_ms: int) -> None:
        """Let users leave whose time is over, and note when the end is reached."""
        emptied = self.counts.expire(now_ms)
        if self.known:
            self._turned |= emptied
        elif self._end is not None and self._position >= self._end:
            self.known = True
            self._turned |= self.counts.used

    def take_news(self) -> set[str]:
        """Tell that the end was reached, once it was; gives the tenants whose users came or left."""
        if self.known and not self.caught_up.done():
            self.caught_up.set_result(None)
        turned, self._turned = self._turned, set()
        return turned

    def is_recent(self, record: Record) -> bool:
        """Whether no owner before is sure to have seen the record."""
        stood_there = self._end is not None and record.offset < self._end
        return not stood_there or record.timestamp_ms > self.taken_ms - TAKEOVER_MS_MAX

    def _check_place(self, tenant: str) -> None:
        place = partition_of(tenant, self._partitions)
        if place != self.partition:
            raise InputInvalid(
                f"tenant {tenant!r} belongs to partition {place}, not {self.partition}; "
                "produce with Kafka's default partitioner"
            )


def forsake(following: Following, error: TenantConnectError) -> None:
    """Whoever waits for the partition to be caught up with learns that it will not be."""
    if not following.caught_up.done():
        following.caught_up.set_exception(error)
        # Nobody has to have waited for it.
        following.caught_up.exception()
