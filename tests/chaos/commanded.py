"""The commands on the topic that clients write to, and when each of their copies was decided, by the log.

A worker decides the commands of a partition in their order. So a copy was decided after every event of a command before
it, and before every event of a command behind it; and after every event that was sent before the copy was.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple

from tests.chaos.evidence import Evidence, Raw
from tests.chaos.facts import moment
from tests.chaos.fold import Log
from tests.chaos.meaning import Asked, asked_of


class Copy(NamedTuple):
    """A command's record: clients send it again for as long as they wait.

    Attributes:
        place: partition and offset.
        sent_ms: when it was sent.
        parked: whether it was put aside as unreadable.
    """

    place: tuple[int, int]
    sent_ms: int
    parked: bool


class Command(NamedTuple):
    """A command and its copies.

    Attributes:
        id: its id.
        tenant: whose.
        asked: what it asks.
        until: the end that a pause names.
        answered: whether it says where its answer is to go.
        copies: its records, in order.
    """

    id: str
    tenant: str
    asked: Asked
    until: Any
    answered: bool
    copies: list[Copy]


def commands_of(evidence: Evidence) -> dict[str, Command]:
    """Every command that clients wrote, by id."""
    parked = {record.value for record in evidence.topics.get("dead letters", ())}
    found: dict[str, Command] = {}
    for record in evidence.topics.get("commands", ()):
        # What a worker writes to see whether it reads has no key, and is nobody's command.
        if record.key is not None:
            command = _command(record, found)
            command.copies.append(Copy((record.partition, record.offset), record.timestamp_ms, record.value in parked))
    return found


def _command(record: Raw, found: dict[str, Command]) -> Command:
    body = json.loads(record.value or b"{}")
    until = moment((body.get("data") or {}).get("until"))
    fresh = Command(
        body["id"], (record.key or b"").decode(), asked_of(body), until, body.get("reply_to") is not None, []
    )
    return found.setdefault(fresh.id, fresh)


class Order:
    """When commands were decided, in events of their tenants.

    Args:
        log: the events.
    """

    def __init__(self, log: Log) -> None:
        self._origins: defaultdict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
        self._of = log.of
        for tenant, events in log.of.items():
            for event in events:
                if event.origin is not None:
                    partition, offset = event.origin
                    self._origins[tenant, partition].append((offset, event.sequence))

    def window(self, tenant: str, copy: Copy) -> tuple[int, int]:
        """After how many events of its tenant a copy was decided: at least, and at most."""
        partition, offset = copy.place
        low, high = 0, len(self._of[tenant])
        for place, sequence in self._origins[tenant, partition]:
            if place < offset:
                low = max(low, sequence)
            elif place > offset:
                high = min(high, sequence - 1)
        for event in reversed(self._of[tenant]):
            if event.sent_ms < copy.sent_ms:
                return max(low, event.sequence), high
        return low, high
