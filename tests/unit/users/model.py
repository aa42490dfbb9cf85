"""What the counts are held against: the whole log is kept, and every question is answered from all of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.users.counts import Counts, Tally
from streams.wire.users import ReadReport

TENANT = "t1"


class Said(NamedTuple):
    """A report on the log."""

    gateway: str
    users: int
    ttl_ms: int
    at_ms: int

    @property
    def report(self) -> ReadReport:
        return ReadReport(self.gateway, self.users, self.ttl_ms)


class Stretch(NamedTuple):
    """So many users on a gateway, from a moment on and up to another."""

    users: int
    first_ms: int
    end_ms: int


class Model:
    """The users of one tenant."""

    def __init__(self, log: Sequence[Said]) -> None:
        self.said: list[Said] = []
        self.stretches: list[Stretch] = []
        for gateway in {said.gateway for said in log}:
            own = list(_not_overtaken(said for said in log if said.gateway == gateway))
            following = [*(said.at_ms for said in own[1:]), None]
            self.said += own
            for said, next_ms in zip(own, following, strict=True):
                if said.users > 0:
                    end_ms = said.at_ms + said.ttl_ms
                    self.stretches.append(
                        Stretch(said.users, said.at_ms, end_ms if next_ms is None else min(end_ms, next_ms))
                    )

    def users(self, now_ms: int) -> int:
        return sum(stretch.users for stretch in self.stretches if stretch.first_ms <= now_ms < stretch.end_ms)

    def empty_since(self, now_ms: int) -> int | None:
        if self.users(now_ms) > 0 or not self.said:
            return None
        if self.stretches:
            return max(stretch.end_ms for stretch in self.stretches)
        return min(said.at_ms for said in self.said)


def _not_overtaken(own: Iterable[Said]) -> Iterable[Said]:
    latest_ms = 0
    for said in own:
        if said.at_ms >= latest_ms:
            latest_ms = said.at_ms
            yield said


def read_at(now_ms: int, log: Iterable[Said]) -> Counts:
    """The counts of whoever reads the whole log at one moment."""
    counts = Counts(Tally())
    for said in log:
        counts.apply(TENANT, said.report, said.at_ms, now_ms)
    counts.expire(now_ms)
    return counts
