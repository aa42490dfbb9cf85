"""Rows of ``realtime.messages``, streamed or read back from the table: which are broadcast, and which are refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw

from streams.catalog.entry import Limits
from streams.replication.columns import Value
from streams.replication.protocol import Relation
from streams.replication.rate import RateLimit
from streams.wire.broadcast import Broadcast

SCHEMA: Final = "realtime"
TABLE_PREFIX: Final = "messages"
"""What the names of the table and its partitions begin with."""

EXTENSION: Final = "broadcast"
"""The extension whose rows are broadcast; those of others belong to others."""

OPERATIONAL_CODE: Final = "UnableToBroadcastChanges"
"""The name under which operators know refused rows from logs; a `RowCode` says more."""

BYTES_PER_KB: Final = 1000
SIZE_ALLOWANCE_BYTES: Final = 500
"""What a payload may have beyond the tenant's limit, for its wrapping."""

SIZE_OVERHEAD_BYTES: Final = 6
"""What the wrapping counts: the platform measures a payload as a term of Erlang's external format."""

NESTING_SPARE: Final = 500
"""Levels of nesting that a reader of JSON has to have left after the payload. Readers in Python share their limit of
about a thousand with the functions that call them, so a payload that can just be read here could not be read there."""

_DEEP: Final = b"[" * NESTING_SPARE
_DEEP_END: Final = b"]" * NESTING_SPARE
_JSON: Final = msgspec.json.Decoder(Raw)


class RowCode(StrEnum):
    """Why a row is not broadcast."""

    INSERTED_AT_MISSING = "inserted_at_missing"
    EVENT_MISSING = "event_missing"
    ID_MISSING = "id_missing"
    TOPIC_MISSING = "topic_missing"
    PRIVATE_MISSING = "private_missing"
    PAYLOAD_MISSING = "payload_missing"
    PAYLOAD_UNREADABLE = "payload_unreadable"
    PAYLOAD_SIZE_EXCEEDED = "payload_size_exceeded"
    TOO_MANY_REQUESTS = "too_many_requests"
    RECORD_REFUSED = "record_refused"


REQUIRED: Final = (
    (RowCode.INSERTED_AT_MISSING, "inserted_at", datetime),
    (RowCode.EVENT_MISSING, "event", str),
    (RowCode.ID_MISSING, "id", str),
    (RowCode.TOPIC_MISSING, "topic", str),
    (RowCode.PRIVATE_MISSING, "private", bool),
)
"""What a row has to have, in the order in which it is missed."""


class Refusal(NamedTuple):
    """A row that is not broadcast; the stream goes on.

    Attributes:
        code: why.
        message: the same in words, and what to do; nothing of the row's contents is in it.
        id: of the row, None where it has none.
    """

    code: RowCode
    message: str
    id: str | None


class Oversized(NamedTuple):
    """Stands for a payload that was not read because it is larger than it may be."""

    bytes: int


class MessageRow(NamedTuple):
    """What is looked at of a row. A value that is missing or cannot be read is whatever it is; the checks find it."""

    topic: Value
    extension: Value
    payload: Value | Oversized
    event: Value
    private: Value
    inserted_at: Value
    id: Value
    binary_payload: Value


COLUMNS: Final = frozenset(MessageRow._fields)
"""The columns that have to be read."""

Pick = Callable[[Sequence[Value]], MessageRow]


def picker_of(relation: Relation) -> Pick | None:
    """What makes a row out of the values of a relation; None where its rows are none of ours.

    A column that the relation does not have counts as null.
    """
    if relation.schema != SCHEMA or not relation.table.startswith(TABLE_PREFIX):
        return None
    places = {column.name: place for place, column in enumerate(relation.columns)}
    pick = itemgetter(*(places.get(name, len(relation.columns)) for name in MessageRow._fields))

    def row(values: Sequence[Value]) -> MessageRow:
        return MessageRow._make(pick((*values, None)))

    return row


def row_of(found: Mapping[str, Any]) -> MessageRow:
    """A row that was read from the table, by column; JSON as text or bytes, the id as text or UUID.

    Where it is `oversized` it has no payload, but says of how many `bytes` that is.
    """
    row = MessageRow._make(found.get(name) for name in MessageRow._fields)
    payload, row_id = Oversized(found["bytes"]) if found.get("oversized") else row.payload, row.id
    return row._replace(
        payload=payload.encode() if isinstance(payload, str) else payload,
        id=None if row_id is None else str(row_id),
    )


class RowJudge:
    """Judges the rows of one tenant under one claim.

    Args:
        tenant: whose.
        claim: offset of the claim under which its rows are sent.
        limits: the tenant's.
    """

    def __init__(self, tenant: str, claim: int, limits: Limits) -> None:
        self._tenant = tenant
        self._claim = claim
        self._rate = RateLimit(limits.max_events_per_second)
        self._size_max = _size_max(limits)

    @property
    def payload_bytes_max(self) -> int:
        """What a payload may have; a larger one need not be read to be refused."""
        return self._size_max

    def change(self, limits: Limits) -> None:
        """Judge by other limits from now on."""
        self._rate.change(limits.max_events_per_second)
        self._size_max = _size_max(limits)

    def judge(
        self, row: MessageRow, lsn: str, ordinal: int, *, committed_at: datetime | None
    ) -> Broadcast | Refusal | None:
        """What becomes of a row: a broadcast, a refusal, or None for a row of another extension.

        Args:
            row: the row.
            lsn: where its transaction was committed, as text.
            ordinal: its place among the rows of the transaction, from 0.
            committed_at: when that was, aware. None for a row that was read back from the table: those are not counted
                into the rate, as they were written over a longer time.
        """
        if row.extension != EXTENSION:
            return None
        broadcast = self._checked(row, lsn, ordinal)
        if isinstance(broadcast, Broadcast) and committed_at is not None and not self._rate.admits(committed_at):
            return Refusal(RowCode.TOO_MANY_REQUESTS, "the tenant writes more rows than its limit allows", broadcast.id)
        return broadcast

    def _checked(self, row: MessageRow, lsn: str, ordinal: int) -> Broadcast | Refusal:
        topic, _, payload, event, private, inserted_at, row_id, binary = row
        if not (
            isinstance(inserted_at, datetime)
            and isinstance(event, str)
            and isinstance(row_id, str)
            and isinstance(topic, str)
            and isinstance(private, bool)
        ):
            return _first_missing(row)
        if isinstance(payload, Oversized):
            return Refusal(RowCode.PAYLOAD_SIZE_EXCEEDED, self._too_large(payload.bytes), row_id)
        body = binary if isinstance(binary, bytes) else payload
        if not isinstance(body, bytes):
            return _missing(RowCode.PAYLOAD_MISSING, row_id)
        if len(body) > self._size_max:
            return Refusal(RowCode.PAYLOAD_SIZE_EXCEEDED, self._too_large(len(body)), row_id)
        if body is payload and not _is_readable(body):
            problem = "the payload is no JSON in UTF-8 that others could read; nest it less deeply"
            return Refusal(RowCode.PAYLOAD_UNREADABLE, problem, row_id)
        moment = inserted_at.replace(tzinfo=UTC) if inserted_at.tzinfo is None else inserted_at
        json, base64 = (Raw(body), UNSET) if body is payload else (UNSET, body)
        return Broadcast(self._tenant, topic, event, private, row_id, moment, lsn, ordinal, self._claim, json, base64)

    def _too_large(self, size: int) -> str:
        return f"the payload has {size} bytes, {self._size_max} are allowed; raise the tenant's max_payload_kb"


def _size_max(limits: Limits) -> int:
    return limits.max_payload_kb * BYTES_PER_KB + SIZE_ALLOWANCE_BYTES - SIZE_OVERHEAD_BYTES


def _first_missing(row: MessageRow) -> Refusal:
    code = next(code for code, column, kind in REQUIRED if not isinstance(getattr(row, column), kind))
    return _missing(code, row.id if isinstance(row.id, str) else None)


def _missing(code: RowCode, row_id: str | None) -> Refusal:
    column = code.removesuffix("_missing")
    return Refusal(code, f"the row's {column} is null, or of another type than it should be", row_id)


def _is_readable(payload: bytes) -> bool:
    """Whether every reader of the record can read the payload: one that cannot be read would hold up what is behind."""
    brackets = payload.count(b"[") + payload.count(b"{")
    try:
        payload.decode()
        _JSON.decode(payload if brackets < NESTING_SPARE else b"".join((_DEEP, payload, _DEEP_END)))
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        return False
    return True
