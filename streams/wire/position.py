"""Records of the positions topic: the point to resume a tenant's replication from, and the fences of claims.

A fence has no tenant's key: a tenant's name has no control characters. Every fence has a key of its own, because a
compacted topic keeps the last record of each key, and an older fence is still needed while a point that it made void
is there.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from statemachine.limits import TENANT_ID_LENGTH_MAX
from streams.errors import InputInvalid, RecordUnreadable
from streams.wire.lsn import lsn_of, lsn_text

XMIN_MAX: Final = 2**64 - 1
"""The highest transaction id of 64 bits, the upper half of which is the epoch."""

_FENCE_PREFIX: Final = b"\x00claim:"
_FENCE_KEY: Final = re.compile(rb"\x00claim:([0-9]{1,19}):[!-~]{1,64}")


class ResumePoint(NamedTuple):
    """A proof of what was delivered: every row that is older was acknowledged by Kafka.

    Attributes:
        tenant: whose rows; also the record's key.
        claim: offset of the claim under which it was proved.
        xmin: transaction id of 64 bits: whatever a lower one wrote was delivered, or never committed.
        lsn: place in the WAL: whatever was committed before it was delivered.
        system_identifier: which PostgreSQL cluster it was, as its decimal digits.
        timeline: which of the cluster's timelines.
        at: when it was taken, aware.
    """

    tenant: str
    claim: int
    xmin: int
    lsn: int
    system_identifier: str
    timeline: int
    at: datetime


class _Record(msgspec.Struct, forbid_unknown_fields=True):
    tenant: Annotated[str, Meta(min_length=1, max_length=TENANT_ID_LENGTH_MAX)]
    claim: Annotated[int, Meta(ge=0)]
    # 64 bits without a sign: beyond what the library can bound.
    xmin: int
    lsn: str
    system_identifier: Annotated[str, Meta(pattern="^[0-9]{1,20}$")]
    timeline: Annotated[int, Meta(ge=1, le=2**32 - 1)]
    at: Annotated[datetime, Meta(tz=True)]


class _Fence(msgspec.Struct):
    claim: int


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Record)


def encode_position(point: ResumePoint) -> bytes:
    """The record of a resume point."""
    return _ENCODER.encode(_Record(**{**point._asdict(), "lsn": lsn_text(point.lsn)}))


def decode_position(value: bytes, place: str) -> ResumePoint:
    """The resume point that ``value`` holds; ``place`` names topic, partition and offset.

    A member that is not known makes it unreadable: what a newer version added may change what the point says.

    Raises:
        RecordUnreadable: the bytes are no resume point.
    """
    try:
        record = _DECODER.decode(value)
        lsn = lsn_of(record.lsn)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, InputInvalid) as error:
        raise RecordUnreadable(f"{place}: not a resume point: {error}") from error
    if not 0 <= record.xmin <= XMIN_MAX:
        raise RecordUnreadable(f"{place}: not a resume point: xmin is no transaction id of 64 bits")
    return ResumePoint(
        record.tenant, record.claim, record.xmin, lsn, record.system_identifier, record.timeline, record.at
    )


def fence_key(claim: int, token: str) -> bytes:
    """The key of a fence; ``token`` is what no other fence of the claim has: printable ASCII, at most 64 characters."""
    return b"%s%d:%s" % (_FENCE_PREFIX, claim, token.encode())


def encode_fence(claim: int) -> bytes:
    """The value of a fence. The claim stands in its key too."""
    return _ENCODER.encode(_Fence(claim))


def fenced_claim(key: bytes) -> int | None:
    """The claim of the fence with this key; None where it is no fence's key."""
    found = _FENCE_KEY.fullmatch(key)
    return None if found is None else int(found[1])
