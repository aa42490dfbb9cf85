"""Which rows a `replication.gap` speaks for: those between its bounds, and no others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from tests.chaos.evidence import Placed
from tests.chaos.fold import Told


class Gap(NamedTuple):
    """The bounds of a loss.

    Attributes:
        from_lsn: rows committed before this are not lost; 0 where the event does not know.
        to_lsn: rows committed behind this are not lost, None where the event does not know.
        since: rows committed before this moment are not lost, seconds since 1970.
        until: rows that were begun after this moment are not lost: the gap was told then.
    """

    from_lsn: int
    to_lsn: int | None
    since: float
    until: float


def gaps_of(events: Sequence[Told]) -> Iterator[Gap]:
    """The gaps that a tenant's events tell of."""
    started = [0.0, 0.0]
    for event in events:
        if event.type == "replication.started":
            started.append(event.sent_ms / 1000)
        elif event.type == "replication.gap":
            first, last = event.data["from_lsn"], event.data["to_lsn"]
            # Where the first bound is not known: the stream that tells of it was the last to start, and all that was
            # committed before the one before it started was that one's to deliver, or to tell of.
            since = started[-2] if first is None else 0.0
            yield Gap(number(first or "0/0"), None if last is None else number(last), since, event.sent_ms / 1000)


def uncovered(missing: set[str], placed: Mapping[str, Placed], gaps: Sequence[Gap]) -> set[str]:
    """Rows that are missing, and that no gap speaks for."""
    before = sorted({number(place.lsn) for place in placed.values()})
    return {row for row in missing if row not in placed or not any(_is_in(placed[row], gap, before) for gap in gaps)}


def _is_in(place: Placed, gap: Gap, before: Sequence[int]) -> bool:
    """A row was committed behind ``place.lsn``, and at the latest where the next transaction of its writer was."""
    lsn = number(place.lsn)
    behind = bisect_right(before, lsn)
    is_behind = behind == len(before) or before[behind] >= gap.from_lsn
    is_before = gap.to_lsn is None or lsn <= gap.to_lsn
    return is_behind and is_before and place.ended >= gap.since and place.began <= gap.until


def number(lsn: str) -> int:
    """An LSN as a number. Source: PostgreSQL, pg_lsn."""
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
