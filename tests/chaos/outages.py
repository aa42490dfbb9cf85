"""How long nobody answered, measured by the answers that clients had."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from streams.kafka.partitioner import partition_of
from tests.chaos.evidence import Call
from tests.chaos.stage import Fault

AFTERWARDS_S: Final = 60.0
"""For how long after the last fault silence is still its doing."""

SOON_S: Final = 1.0
"""Whoever was answered so shortly before a fault was served until then: a silence that follows is that fault's."""


class Outage(NamedTuple):
    """What a fault did to those who ask.

    Attributes:
        kind: the fault's.
        lasted: how long it lasted, in seconds, until it was healed.
        silent: the longest time between two answers for one and the same partition.
        owned: how many partitions those owned who were hit, None where no owner was meant.
    """

    kind: str
    lasted: float
    silent: float
    owned: int | None = None


def outages_of(calls: Sequence[Call], faults: Sequence[Fault], partitions: int) -> Iterator[Outage]:
    """The outage of each fault; silence counts for it until the next one begins."""
    answered: dict[int, list[float]] = {number: [] for number in range(partitions)}
    for call in calls:
        if call.ok and call.ended is not None:
            answered[partition_of(call.tenant, partitions)].append(call.ended)
    for times in answered.values():
        times.sort()
    begins = [fault.began - SOON_S for fault in faults[1:]] + [faults[-1].ended + AFTERWARDS_S] if faults else []
    for fault, until in zip(faults, begins, strict=True):
        silences = (_silence(times, fault.began, max(until, fault.ended)) for times in answered.values())
        yield Outage(fault.kind, fault.ended - fault.began, max(silences, default=0.0), fault.owned)


def _silence(times: Sequence[float], began: float, until: float) -> float:
    """The longest time without an answer that ended after ``began`` and began before ``until``."""
    spans = (after - max(before, began) for before, after in pairwise(times) if after > began and before < until)
    return max(spans, default=0.0)
