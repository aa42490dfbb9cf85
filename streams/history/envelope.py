"""What a record must be beside its event: its own hash, its key, its id, its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from statemachine.events import Claimed, Event
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record
from streams.wire.event import claim_id, event_id, hash_of, source_of

SPECVERSION: Final = "1.0"
CONTENT_TYPE: Final = "application/json"


class _Envelope(msgspec.Struct):
    """The members of a record that are not the event's content. Source: CloudEvents 1.0."""

    specversion: str
    id: str
    source: str
    type: str
    datacontenttype: str
    dataschema: str
    hash: str


_DECODER: Final = msgspec.json.Decoder(_Envelope)


def problems(record: Record, event: Event | Claimed, region: str, partitions: int) -> Iterator[tuple[str, str]]:
    """Code and message of each rule that a readable record breaks by itself, whatever stands before it."""
    value = record.value or b""
    try:
        envelope = _DECODER.decode(value)
    except msgspec.MsgspecError as error:
        yield "envelope_invalid", f"not a CloudEvents object of the contract: {error}"
        return
    if (envelope.specversion, envelope.datacontenttype) != (SPECVERSION, CONTENT_TYPE):
        yield "envelope_invalid", f"specversion {envelope.specversion!r}, datacontenttype {envelope.datacontenttype!r}"
    if envelope.hash != hash_of(value):
        yield "hash_mismatch", f"the record says {envelope.hash!r}, its bytes say {hash_of(value)!r}"
    source = source_of(region, record.partition)
    if envelope.source != source:
        yield "source_unexpected", f"source {envelope.source!r} where {source!r} was due"
    due = claim_id(event) if isinstance(event, Claimed) else event_id(event.tenant, event.sequence, event.claim)
    if envelope.id != due:
        yield "id_unexpected", f"id {envelope.id!r} where {due!r} was due"
    yield from _key(record, event, partitions)


def _key(record: Record, event: Event | Claimed, partitions: int) -> Iterator[tuple[str, str]]:
    if isinstance(event, Claimed):
        if record.key is not None:
            yield "key_mismatch", f"a claim with the key {record.key!r}"
        return
    if record.key != event.tenant.encode():
        yield "key_mismatch", f"key {record.key!r} on an event of tenant {event.tenant!r}"
    place = partition_of(event.tenant, partitions)
    if place != record.partition:
        yield "wrong_partition", f"tenant {event.tenant!r} belongs to partition {place}"
