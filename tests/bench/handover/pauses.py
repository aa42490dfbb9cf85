"""How long partitions stood still, from the times of their events: pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

Times = Mapping[int, Sequence[float]]
"""Per partition the times of its events in seconds, ascending."""


class Claim(NamedTuple):
    """A claim that counts: when it was made, in seconds, and by which worker."""

    at: float
    worker: str


Claims = Mapping[int, Sequence[Claim]]
"""Per partition its claims that count, the oldest first."""


class Change(NamedTuple):
    """Something that was done to the workers.

    Attributes:
        what: that it was.
        begin: when, in seconds.
        end: until when its consequences are looked for.
        anew: a worker that is another process since, under the same name.
    """

    what: str
    begin: float
    end: float
    anew: str | None = None


class Pauses(NamedTuple):
    """The longest time without an event around a change, in seconds by partition.

    Attributes:
        moved: of partitions that another worker had since, or another process.
        unmoved: of all others, those included that their worker claimed once more.
    """

    moved: Mapping[int, float]
    unmoved: Mapping[int, float]


def pauses(times: Times, claims: Claims, change: Change) -> Pauses:
    """What a change cost."""
    found = {partition: _longest(each, change) for partition, each in times.items()}
    moved = {partition for partition, each in claims.items() if _moved(each, change)}
    return Pauses(
        {partition: pause for partition, pause in found.items() if partition in moved},
        {partition: pause for partition, pause in found.items() if partition not in moved},
    )


def _moved(claims: Sequence[Claim], change: Change) -> bool:
    """Whether a claim in the change's time is by another worker than the one before, or by a new process."""
    return any(
        claim.worker != before.worker or claim.worker == change.anew
        for before, claim in pairwise(claims)
        if change.begin <= claim.at < change.end
    )


def _within(times: Sequence[float], change: Change) -> Sequence[float]:
    return times[bisect_left(times, change.begin) : bisect_left(times, change.end)]


def _longest(times: Sequence[float], change: Change) -> float:
    """The longest stretch without an event that begins or ends within the change's time."""
    before = times[: bisect_left(times, change.begin)][-1:] or [change.begin]
    marks = [*before, *_within(times, change), change.end]
    return max(later - earlier for earlier, later in pairwise(marks))
