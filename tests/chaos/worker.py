"""A worker's process that can be told to die at a certain point, to be wrong about the time, or to ignore the fence.

``python -m tests.chaos.worker [--die-at POINT:COUNT] [--clock FILE] [--unfenced]``; settings come as they always do.
After SIGUSR1 it stands still as soon as it has decided something, before that is sent; SIGCONT lets it go on.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from unittest import mock

from statemachine.events import Event
from statemachine.partition import PartitionState, Verdict
from streams.cli.main import main
from streams.effects.tenant import TenantWork
from streams.engine.progress import Progress
from streams.log.producer import LogProducer
from streams.log.reader import Record
from streams.registry.partition import Flight, OwnedPartition
from streams.service import worker as service
from streams.wire.event import decode_event
from streams.worker.owner import PartitionOwner

POINTS: Final[dict[str, tuple[type, str, bool]]] = {
    "decided": (OwnedPartition, "send", True),
    "produced": (OwnedPartition, "send", False),
    "acknowledged": (PartitionOwner, "_act", True),
    "replied": (PartitionOwner, "_act", False),
    "committing": (Progress, "committable", False),
    "in effect": (TenantWork, "_provision", True),
    "claimed": (LogProducer, "append", False),
}
"""Where a worker can die: class, method, and whether before it is entered or after it is left."""


def dying(point: str, count: int) -> tuple[type, str, Callable[..., Any]]:
    """The method of a point that ends the process at its ``count``-th passage, as SIGKILL does."""
    owner, method, before = POINTS[point]
    original = getattr(owner, method)
    passages = 0

    def passed(*arguments: Any, **named: Any) -> Any:
        nonlocal passages
        passages += 1
        if before and passages == count:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*arguments, **named)
        if not before and passages == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return owner, method, passed


def freezing() -> tuple[type, str, Callable[..., Any]]:
    """The method that sends events; after SIGUSR1 the process stands still once, with events decided and not sent."""
    original = OwnedPartition.send
    armed = False

    def arm(_number: int, _frame: Any) -> None:
        nonlocal armed
        armed = True

    def send(partition: OwnedPartition) -> Flight:
        nonlocal armed
        if armed:
            armed = False
            os.kill(os.getpid(), signal.SIGSTOP)
        return original(partition)

    signal.signal(signal.SIGUSR1, arm)
    return OwnedPartition, "send", send


def clock_of(file: Path) -> Callable[[], datetime]:
    """A clock that is as many seconds ahead as the file says."""

    def now() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float(file.read_text() or 0))

    return now


def _apply_any(state: PartitionState, event: Event) -> Verdict:
    """Whoever wrote an event, it counts."""
    state.apply(event)
    return Verdict.APPLIED


def _judge_own(partition: OwnedPartition, records: list[Record]) -> list[int]:
    """Whoever else wrote, and whatever they claimed."""
    decoded = [(record.offset, decode_event(record.value, "")) for record in records]
    return [offset for offset, event in decoded if isinstance(event, Event) and event.claim == partition.claim.offset]


def run(words: list[str]) -> None:
    """Run a worker with what the words ask for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--die-at", metavar="POINT:COUNT", help=f"points: {', '.join(POINTS)}")
    parser.add_argument("--clock", type=Path, metavar="FILE", help="seconds that its clock is ahead")
    parser.add_argument("--unfenced", action="store_true", help="events count whoever wrote them")
    given = parser.parse_args(words)
    sys.argv = ["tenant-connect", "worker"]
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(*freezing()))
        if given.die_at:
            point, _, count = given.die_at.partition(":")
            stack.enter_context(mock.patch.object(*dying(point, int(count))))
        if given.clock:
            defaults = (clock_of(given.clock),)
            stack.enter_context(mock.patch.object(service.Worker.__init__, "__defaults__", defaults))
        if given.unfenced:
            stack.enter_context(mock.patch.object(PartitionState, "_event", _apply_any))
            stack.enter_context(mock.patch.object(OwnedPartition, "_judge", _judge_own))
        main()


if __name__ == "__main__":
    run(sys.argv[1:])
