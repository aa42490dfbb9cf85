"""How far the partitions of a worker are: served, or still being rebuilt from the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, Protocol

RATE_WINDOW_S: Final = 5.0
"""Seconds that a rate looks back, at least; it looks back up to twice as far."""


class PartitionProgress(NamedTuple):
    """How far one partition is.

    Attributes:
        partition: its number.
        served: whether its state is rebuilt and its tenants are decided for.
        position: offset of the last event folded, -1 for none.
        target: offset of the last event to fold before it can be served; None where that is not known, or is served.
        rate: events folded per second of late; None where that is not known, or is served.
    """

    partition: int
    served: bool
    position: int
    target: int | None
    rate: float | None

    @property
    def left(self) -> int | None:
        """Events that are still to be folded."""
        return None if self.target is None else max(0, self.target - self.position)


class Readiness(Protocol):
    """Says how far a worker is."""

    def partitions(self) -> Sequence[PartitionProgress] | None:
        """Every partition that the group has assigned; None before the first assignment and once the worker stops."""


class _Look(NamedTuple):
    """What was seen of a partition.

    Attributes:
        at: when, in seconds of the clock.
        position: offset of the last event folded.
    """

    at: float
    position: int


class Rebuild:
    """The readiness of a worker. It looks when it is asked, so its rates begin with the second question.

    Args:
        assigned: the partitions that the group has assigned; None before the first time, and once the worker stops.
        served: those whose owner decides.
        position: offset of the last event folded of a partition, -1 for none.
        target: offset of the last event that recovery has to read of a partition, None where it is not known.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        *,
        assigned: Callable[[], Collection[int] | None],
        served: Callable[[], Collection[int]],
        position: Callable[[int], int],
        target: Callable[[int], int | None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._assigned = assigned
        self._served = served
        self._position = position
        self._target = target
        self._clock = clock
        self._looks: dict[int, tuple[_Look, _Look]] = {}

    def partitions(self) -> Sequence[PartitionProgress] | None:
        """Every partition that the group has assigned, in order; None where there is no assignment."""
        assigned = self._assigned()
        rebuilding = set(assigned or ()).difference(self._served())
        self._looks = {number: looks for number, looks in self._looks.items() if number in rebuilding}
        if assigned is None:
            return None
        return [self._rebuilding(number) if number in rebuilding else self._done(number) for number in sorted(assigned)]

    def _done(self, number: int) -> PartitionProgress:
        return PartitionProgress(number, served=True, position=self._position(number), target=None, rate=None)

    def _rebuilding(self, number: int) -> PartitionProgress:
        now = _Look(self._clock(), self._position(number))
        rate = self._rate(number, now)
        return PartitionProgress(number, served=False, position=now.position, target=self._target(number), rate=rate)

    def _rate(self, number: int, now: _Look) -> float | None:
        base, recent = self._looks.setdefault(number, (now, now))
        if now.position < base.position:
            base = recent = now
        if now.at - recent.at >= RATE_WINDOW_S:
            base, recent = recent, now
        self._looks[number] = (base, recent)
        elapsed = now.at - base.at
        return (now.position - base.position) / elapsed if elapsed > 0 else None


def is_ready(partitions: Sequence[PartitionProgress] | None) -> bool:
    """Whether every assigned partition is served; a worker to which none is assigned waits for nothing and is ready."""
    return partitions is not None and all(partition.served for partition in partitions)
