"""Events as bytes: CloudEvents 1.0 in structured JSON mode, one record per event, with the hash chain.

The hash is the last member of the object. It is BLAKE2b-128, in hexadecimal, over the record's bytes up to
it and a closing brace; the record before is bound in by ``previoushash``. Anyone can check it without
knowing JSON: cut ``,"hash":"…"}`` off the end, put ``}`` there, and hash.

Source: CloudEvents 1.0, JSON event format.
"""

from __future__ import annotations

from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec

from statemachine.events import EVENT_TYPES, Claimed, CommandPlace, Event, TenantEventData
from statemachine.state import TenantState
from streams.errors import LogCorrupt

HASH_BYTES: Final = 16
_HASH_KEY: Final = b',"hash":"'
_TAIL_LENGTH: Final = len(_HASH_KEY) + 2 * HASH_BYTES + len(b'"}')


class Origin(NamedTuple):
    """Where an event comes from.

    Attributes:
        source: CloudEvents source of the partition, see `source_of`.
        claim: claim it is written under.
        causation: id of the command, or ``timer:…`` or ``effect:…``.
        command_offset: offset of the command in the region's command topic, if a command caused it.
        place: where that command stands on the topic it was forwarded from, if it was.
    """

    source: str
    claim: int
    causation: str
    command_offset: int | None = None
    place: CommandPlace | None = None


class _Outgoing(msgspec.Struct, omit_defaults=True):
    """The record without its hash, in the order of its bytes."""

    id: str
    source: str
    type: str
    time: datetime
    dataschema: str
    data: Any
    subject: str | None = None
    sequence: int | None = None
    claim: int | None = None
    causationid: str | None = None
    commandoffset: int | None = None
    originpartition: int | None = None
    originoffset: int | None = None
    previoushash: str | None = None


class _Incoming(msgspec.Struct):
    """The members of a record that the fold needs; the rest is for other readers."""

    specversion: str
    type: str
    time: datetime
    data: msgspec.Raw
    subject: str | None = None
    sequence: int = 0
    claim: int = -1
    causationid: str = ""
    commandoffset: int | None = None
    originpartition: int | None = None
    originoffset: int | None = None
    previoushash: str = ""
    hash: str = ""


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Incoming)
_DATA_DECODERS: Final = {name: msgspec.json.Decoder(data) for name, data in EVENT_TYPES.items()}
_OPENING: Final = b'{"specversion":"1.0","datacontenttype":"application/json",'


def source_of(region: str, partition: int) -> str:
    """The ``source`` of every event of a region's partition."""
    return f"/connect/{region}/{partition}"


def event_id(tenant: str, sequence: int, claim: int) -> str:
    """The deterministic id of a tenant's event."""
    return f"{tenant}/{sequence}@{claim}"


def claim_id(claim: Claimed) -> str:
    """The deterministic id of a claim's record."""
    return f"claim/{claim.worker}/{claim.term}.{claim.generation}"


def dataschema_of(event_type: str) -> str:
    """The name and version of the schema of an event type's payload, a URN."""
    return f"urn:tenant-connect:event:{event_type}:1"


_SCHEMAS: Final = {name: dataschema_of(name) for name in EVENT_TYPES}


def encode_event(state: TenantState, data: TenantEventData, time: datetime, origin: Origin) -> tuple[Event, bytes]:
    """The next event of the tenant whose state is ``state``, and its record's bytes."""
    sequence = state.sequence + 1
    place_partition, place_offset = origin.place or (None, None)
    record = _Outgoing(
        event_id(state.tenant, sequence, origin.claim),
        origin.source,
        data.type,
        time,
        _SCHEMAS[data.type],
        data,
        state.tenant,
        sequence,
        origin.claim,
        origin.causation,
        origin.command_offset,
        place_partition,
        place_offset,
        state.hash,
    )
    body, digest = _seal(record)
    event = Event(
        state.tenant,
        data,
        sequence,
        time,
        origin.claim,
        origin.causation,
        origin.command_offset,
        origin.place,
        state.hash,
        digest,
    )
    return event, body


def encode_claim(claim: Claimed, *, source: str, time: datetime) -> bytes:
    """The record of a claim; its number is the offset it gets."""
    return _seal(_Outgoing(claim_id(claim), source, claim.type, time, _SCHEMAS[claim.type], claim))[0]


def _seal(record: _Outgoing) -> tuple[bytes, str]:
    body = _OPENING + _ENCODER.encode(record)[1:]
    digest = blake2b(body, digest_size=HASH_BYTES).hexdigest()
    return body[:-1] + _HASH_KEY + digest.encode() + b'"}', digest


def hash_of(value: bytes) -> str:
    """The hash that a record's bytes must carry, in hexadecimal."""
    return blake2b(value[:-_TAIL_LENGTH] + b"}", digest_size=HASH_BYTES).hexdigest()


def decode_event(value: bytes | None, place: str) -> Claimed | Event:
    """The event or claim that ``value`` holds; ``place`` names topic, partition and offset.

    Raises:
        LogCorrupt: the bytes are not a record of this log.
    """
    if value is None:
        raise LogCorrupt(f"{place}: the record is empty")
    try:
        record = _DECODER.decode(value)
        data = _DATA_DECODERS[record.type].decode(record.data)
    except KeyError as error:
        raise LogCorrupt(f"{place}: unknown event type {error}") from error
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise LogCorrupt(f"{place}: not an event: {error}") from error
    if isinstance(data, Claimed):
        return data
    if record.subject is None:
        raise LogCorrupt(f"{place}: an event without a subject")
    return Event(
        record.subject,
        data,
        record.sequence,
        record.time,
        record.claim,
        record.causationid,
        record.commandoffset,
        _place(record),
        record.previoushash,
        record.hash,
    )


def _place(record: _Incoming) -> CommandPlace | None:
    if record.originpartition is None or record.originoffset is None:
        return None
    return CommandPlace(record.originpartition, record.originoffset)
