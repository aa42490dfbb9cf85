"""A recovery that does not get on ends the worker, and says where it stands.

A recovery waits for records: that they are delivered, that they follow what was folded, that they reach the end which
the broker named. Faust waits for that without a bound, and only says so in its log. Here whatever stands still ends:
a fetch that brings nothing, an end that no record can reach, a claim that is not settled, a partition that was assigned
and is not owned once its log is folded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from streams.errors import RecoveryStalled
from streams.metrics.rebuild import PartitionProgress, Readiness

LOOKS: Final = 20
"""Looks in the time that something may stay as it is."""

LOOK_INTERVAL_S_MAX: Final = 5.0

CLOSED_BOUNDS: Final = 2
"""How many times as long partitions may be owned while no commands are read."""

NAMED_MAX: Final = 16
"""Partitions that a message names."""

Stand = dict[int, PartitionProgress]


class StallWatch:
    """Watches the partitions that are assigned and not served, and all of them while no commands are read.

    Time counts by looks: a process that was frozen looks once when it wakes, and has stood still for one interval.

    Args:
        readiness: says how far each partition is.
        bound_s: how long all of them may stand still, in seconds.
        opened: whether commands are read. Where all is served and nothing is read, the group may be waiting for another
            member: that has `CLOSED_BOUNDS` times as long.
    """

    def __init__(self, readiness: Readiness, bound_s: float, opened: Callable[[], bool]) -> None:
        self._readiness = readiness
        self._bound_s = bound_s
        self._opened = opened
        self._interval_s = min(LOOK_INTERVAL_S_MAX, bound_s / LOOKS)
        self._seen: Stand = {}
        self._still_s = 0.0

    async def run(self) -> None:
        """Watch for ever.

        Raises:
            RecoveryStalled: nothing moved for so long; it names each partition's position and target.
        """
        while True:
            await asyncio.sleep(self._interval_s)
            self.look()

    def look(self) -> None:
        """Look once; an interval has passed since the last time.

        Raises:
            RecoveryStalled: see `run`.
        """
        assigned = [progress._replace(rate=None) for progress in self._readiness.partitions() or ()]
        unserved = {progress.partition: progress for progress in assigned if not progress.served}
        stand = unserved if unserved or self._opened() else {progress.partition: progress for progress in assigned}
        self._still_s = self._still_s + self._interval_s if stand and stand == self._seen else 0.0
        self._seen = stand
        if self._still_s >= self._bound_s * (1 if unserved else CLOSED_BOUNDS):
            raise RecoveryStalled(f"nothing moved for {self._still_s:.0f} s: {_words(list(stand.values()))}")


async def stays(is_so: Callable[[], bool], bound_s: float) -> bool:
    """Whether something stays as it is for so many seconds in which the process runs; the answer comes at once if not.

    Time counts by looks, as it does for `StallWatch`.
    """
    for _ in range(LOOKS):
        await asyncio.sleep(bound_s / LOOKS)
        if not is_so():
            return False
    return True


def _words(stand: Sequence[PartitionProgress]) -> str:
    named = "; ".join(_where(progress) for progress in stand[:NAMED_MAX])
    rest = len(stand) - NAMED_MAX
    return named if rest <= 0 else f"{named}; and {rest} more"


def _where(progress: PartitionProgress) -> str:
    if progress.served:
        return f"partition {progress.partition} is owned at offset {progress.position}, and its commands are not read"
    if progress.target is None:
        return f"partition {progress.partition} is at offset {progress.position}, and its end is not known"
    if progress.position >= progress.target:
        return f"partition {progress.partition} is folded up to offset {progress.position} and not owned"
    return f"partition {progress.partition} is at offset {progress.position} of {progress.target}"
