"""Measuring one process: how fast events appear on a topic, and how long rebuilding takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from confluent_kafka import TopicPartition, admin
from confluent_kafka.admin import AdminClient

from tests.bench.contender import Contender
from tests.bench.milestones import Milestone

LOOK_INTERVAL_S: Final = 0.02
"""Pause between two looks at where a topic ends; the same for both sides."""

STALL_TIMEOUT_S: Final = 60.0
"""How long a topic may stand still before a process counts as stuck."""

REQUEST_TIMEOUT_S: Final = 10.0
"""How long the broker may take to say where a topic ends."""

_LATEST: Final[Any] = vars(admin)["OffsetSpec"].latest()


class Rate(NamedTuple):
    """What was measured.

    Attributes:
        records: number of records.
        seconds: time they took.
        cpu_seconds: processor time that the measured process used for them, all of its threads.
    """

    records: int
    seconds: float
    cpu_seconds: float

    @property
    def per_second(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu_microseconds(self) -> float:
        """Processor time per record, in microseconds: what the machine's other work disturbs least."""
        return self.cpu_seconds / self.records * 1_000_000


class Topic(NamedTuple):
    """A topic as seen from outside."""

    client: AdminClient
    name: str
    partitions: int

    def end(self) -> int:
        """Number of acknowledged records in all partitions."""
        wanted = {TopicPartition(self.name, partition): _LATEST for partition in range(self.partitions)}
        answers: Mapping[Any, Any] = self.client.list_offsets(wanted, request_timeout=REQUEST_TIMEOUT_S)
        return sum(answer.result(REQUEST_TIMEOUT_S).offset for answer in answers.values())


class _Look(NamedTuple):
    records: int
    at: float
    cpu: float


class Task(NamedTuple):
    """What a process has to do.

    Attributes:
        topic: where its results appear.
        before: records there that are no results.
        records: results that are due.
        between: a topic that it writes on the way there, if any: with the first record there it is under way.
    """

    topic: Topic
    before: int
    records: int
    between: Topic | None = None

    def is_under_way(self) -> bool:
        """Whether something was written on the way."""
        return self.between is not None and self.between.end() > 0


def throughput(contender: Contender, task: Task, progress: Callable[[int], None]) -> Rate:
    """Watch a topic until all records are there.

    Starting up and joining the group are not in it: the time runs from the first look that finds something done.
    Records that this look finds do not count, as nobody knows how long they took.

    Raises:
        ContenderFailed: the process ended, or nothing came for `STALL_TIMEOUT_S`.
    """
    begun = _Look(0, 0.0, 0.0)
    latest = _Look(0, time.monotonic(), 0.0)
    while latest.records < task.records:
        contender.check()
        look = _Look(task.topic.end() - task.before, time.monotonic(), contender.cpu_seconds())
        if not begun.at and (look.records > 0 or task.is_under_way()):
            begun = look._replace(records=max(0, look.records))
        if look.records > latest.records:
            latest = look
            progress(look.records)
        elif look.at - latest.at > STALL_TIMEOUT_S:
            raise contender.failure(f"stands still at {latest.records} of {task.records}")
        time.sleep(LOOK_INTERVAL_S)
    return Rate(latest.records - begun.records, latest.at - begun.at, latest.cpu - begun.cpu)


def rebuild(found: Mapping[str, Milestone]) -> Rate:
    """From being assigned partitions to owning them, everything folded; joining the group is not in it."""
    assigned, owned = found["assigned"], found["owned"]
    return Rate(owned.records, owned.at - assigned.at, owned.cpu - assigned.cpu)
