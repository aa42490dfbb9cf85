"""Broadcasts as bytes: a row of a tenant's ``realtime.messages`` on its way to the gateways."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType

from streams.errors import RecordUnreadable

NotNegative = Annotated[int, Meta(ge=0)]


class Broadcast(msgspec.Struct, frozen=True):
    """One row, and where it stands.

    Exactly one of ``payload`` and ``payload_base64`` is there.

    Attributes:
        tenant: whose row; also the record's key.
        topic: the channel, without the tenant.
        event: the name of what happened.
        private: whether only members may hear it.
        id: of the row, a UUID; a record that repeats a row has the same.
        inserted_at: when the row was written, UTC.
        lsn: where its transaction was committed, as PostgreSQL writes it.
        ordinal: its place among the rows of that transaction, from 0.
        claim: offset of the claim under which it was sent. Who has seen a higher one in the partition drops it.
        payload: JSON text, passed on as it came from the database.
        payload_base64: bytes; Base64 on the wire.
    """

    tenant: str
    topic: str
    event: str
    private: bool
    id: str
    inserted_at: datetime
    lsn: Annotated[str, Meta(pattern="^[0-9A-F]{1,8}/[0-9A-F]{1,8}$")]
    ordinal: NotNegative
    claim: NotNegative
    payload: Raw | UnsetType = UNSET
    payload_base64: bytes | UnsetType = UNSET


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(Broadcast)


def encode_broadcast(broadcast: Broadcast) -> bytes:
    """The record of a broadcast. The payload is not looked into: it has to be JSON, in UTF-8."""
    return _ENCODER.encode(broadcast)


def decode_broadcast(value: bytes | None, place: str) -> Broadcast:
    """The broadcast that ``value`` holds; ``place`` names topic, partition and offset. Unknown members are passed over.

    Raises:
        RecordUnreadable: the bytes are no broadcast.
    """
    if value is None:
        raise RecordUnreadable(f"{place}: the record is empty")
    try:
        broadcast = _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RecordUnreadable(f"{place}: not a broadcast: {error}") from error
    if (broadcast.payload is UNSET) == (broadcast.payload_base64 is UNSET):
        raise RecordUnreadable(f"{place}: a broadcast has either payload or payload_base64")
    return broadcast
