"""Whether what was measured was right: every command led to exactly one event that counts."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from statemachine.events import Claimed, ConnectPaused
from statemachine.partition import PartitionState, Verdict
from streams.kafka.clients import consumer_configuration
from streams.log.reader import open_consumer, read, stretches
from streams.settings import Settings
from streams.wire.event import decode_event, hash_of
from tests.bench.workload import Workload


class WrongResult(Exception):
    """A measured process did not do its work; the figure it was measured with is void."""


def verify_ours(settings: Settings, topic: str, workload: Workload, claims: int) -> None:
    """Fold the whole log: no void record, no broken chain, no command without its event, none with two.

    Raises:
        WrongResult: says what is wrong.
        LogCorrupt, IllegalEvent: a record cannot be read or folded.
    """
    states = [PartitionState(partition) for partition in range(workload.partitions)]
    found_claims = 0
    with open_consumer(consumer_configuration(settings, "bench.verification")) as consumer:
        for record in read(consumer, topic, stretches(consumer, topic)):
            place = f"{topic}:{record.partition}:{record.offset}"
            event = decode_event(record.value, place)
            _require(states[record.partition].fold(record.offset, event) is Verdict.APPLIED, f"{place} does not count")
            if isinstance(event, Claimed):
                found_claims += 1
                continue
            _require(hash_of(record.value or b"") == event.hash, f"{place}: the hash is another")
            _require(isinstance(event.data, ConnectPaused) == bool(event.sequence % 2), f"{place}: out of turn")
    _require(found_claims == claims, f"{found_claims} claims where {claims} were due")
    sequences = {name: state.sequence for each in states for name, state in each.tenants.items()}
    _require(sequences == workload.expected(), "a tenant has more or fewer events than commands")


def verify_stock(settings: Settings, topic: str, workload: Workload) -> None:
    """Every tenant's events are numbered from 1 without a gap, as many as its commands.

    Raises:
        WrongResult: says what is wrong.
    """
    sequences: Counter[str] = Counter()
    with open_consumer(consumer_configuration(settings, "bench.verification")) as consumer:
        for record in read(consumer, topic, stretches(consumer, topic)):
            event: dict[str, Any] = json.loads(record.value or b"")
            sequences[event["tenant"]] += 1
            _require(
                sequences[event["tenant"]] == event["sequence"], f"{topic}: sequence of {event['tenant']} is broken"
            )
    _require(sequences == workload.expected(), "a tenant has more or fewer events than commands")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise WrongResult(message)
