from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.catalog.entry import Limits
from streams.replication.columns import UNCHANGED
from streams.replication.pgoutput import Decoder
from streams.replication.protocol import Column, Insert
from streams.replication.rate import RATE_WINDOW_S
from streams.replication.rows import COLUMNS, MessageRow, Refusal, RowCode, RowJudge, picker_of, row_of
from streams.wire.broadcast import Broadcast, decode_broadcast, encode_broadcast
from tests.unit.replication import encoder
from tests.unit.replication.encoder import A_ROW, AN_ID, MESSAGES, TEXT

LSN: Final = "16/B374D848"
COMMITTED: Final = datetime(2030, 1, 1, 12, 0, 1, tzinfo=UTC)
INSERTED: Final = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
GOOD: Final = MessageRow(
    topic="room:1",
    extension="broadcast",
    payload=b'{"a": 1}',
    event="changed",
    private=True,
    inserted_at=INSERTED.replace(tzinfo=None),
    id=AN_ID,
    binary_payload=None,
)
FOUND: Final[Mapping[str, Any]] = {
    "topic": "room:1",
    "extension": "broadcast",
    "payload": '{"a": 1}',
    "event": "changed",
    "private": True,
    "updated_at": None,
    "inserted_at": INSERTED.replace(tzinfo=None),
    "id": UUID(AN_ID),
    "binary_payload": None,
}
"""The same row as a query of the table gives it."""


def judge(row: MessageRow, limits: Limits | None = None) -> Broadcast | Refusal | None:
    return RowJudge("t1", 9, limits or Limits()).judge(row, LSN, 4, committed_at=COMMITTED)


def broadcast(row: MessageRow, limits: Limits | None = None) -> Broadcast:
    found = judge(row, limits)
    assert isinstance(found, Broadcast), found
    return found


def refused(row: MessageRow, limits: Limits | None = None) -> Refusal:
    found = judge(row, limits)
    assert isinstance(found, Refusal), found
    return found


def test_a_streamed_row_becomes_the_broadcast_of_the_contract() -> None:
    decoder = Decoder(COLUMNS)
    pick = picker_of(decoder.decode(encoder.relation(MESSAGES)))  # type: ignore[arg-type]  # it is a relation
    insert = decoder.decode(encoder.insert(MESSAGES, A_ROW))
    assert isinstance(insert, Insert)
    assert pick is not None
    assert json.loads(encode_broadcast(broadcast(pick(insert.values)))) == {
        "tenant": "t1",
        "topic": "room:1",
        "event": "changed",
        "private": True,
        "payload": {"a": 1},
        "id": AN_ID,
        "inserted_at": "2030-01-01T12:00:00.123456Z",
        "lsn": LSN,
        "ordinal": 4,
        "claim": 9,
    }


def test_a_row_that_was_read_back_becomes_the_same() -> None:
    assert broadcast(row_of(FOUND)) == broadcast(GOOD)


def test_bytes_become_payload_base64_and_may_be_empty() -> None:
    for content in (b"", b"\x00\xff"):
        found = broadcast(GOOD._replace(payload=None, binary_payload=content))
        assert (found.payload_base64, found.payload) == (content, msgspec.UNSET)


def test_bytes_win_where_a_row_has_both_payloads() -> None:
    assert broadcast(GOOD._replace(binary_payload=b"b")).payload_base64 == b"b"


def test_a_payload_of_json_null_is_a_payload() -> None:
    found = encode_broadcast(broadcast(GOOD._replace(payload=b"null")))
    assert json.loads(found)["payload"] is None


@pytest.mark.parametrize("extension", ["presence", "", None, b"broadcast", UNCHANGED])
def test_rows_of_other_extensions_are_passed_over_whatever_else_they_have(extension: Any) -> None:
    empty = MessageRow(None, extension, None, None, None, None, None, None)
    assert judge(empty) is None
    assert judge(GOOD._replace(extension=extension)) is None


ORDER: Final = ("inserted_at", "event", "id", "topic", "private", "payload")


@pytest.mark.parametrize("column", ORDER)
@pytest.mark.parametrize("absent", [None, UNCHANGED, 7])
def test_each_column_that_is_missing_has_its_code(column: str, absent: Any) -> None:
    found = refused(GOOD._replace(**{column: absent}))
    assert found.code == f"{column}_missing"
    assert column in found.message
    assert found.id == (None if column == "id" else AN_ID)


@pytest.mark.parametrize("text", ["event", "topic", "id"])
def test_text_that_could_not_be_read_counts_as_missing(text: str) -> None:
    assert refused(GOOD._replace(**{text: b"\xff"})).code == f"{text}_missing"


def test_what_is_missing_is_told_in_the_order_of_the_checks() -> None:
    row = MessageRow(None, "broadcast", None, None, None, None, None, None)
    values: dict[str, Any] = {**GOOD._asdict()}
    for column in ORDER:
        assert refused(row).code == f"{column}_missing"
        row = row._replace(**{column: values[column]})
    assert broadcast(row) == broadcast(GOOD)


@pytest.mark.parametrize("column", ["payload", "binary_payload"])
def test_a_payload_may_have_as_many_bytes_as_the_limit_says_and_no_more(column: str) -> None:
    limits = Limits(max_payload_kb=2)
    largest = 2 * 1000 + 500 - 6
    quoted = b'"%s"'
    assert broadcast(GOOD._replace(**{column: quoted % (b"x" * (largest - 2))}), limits).id == AN_ID
    found = refused(GOOD._replace(**{column: quoted % (b"x" * (largest - 1))}), limits)
    assert found.code is RowCode.PAYLOAD_SIZE_EXCEEDED
    assert f"{largest + 1} bytes, {largest} are allowed" in found.message


def test_a_row_whose_payload_was_too_large_to_be_read_is_refused_with_its_size() -> None:
    refusal = judge(row_of({**FOUND, "payload": None, "bytes": 40_000_000, "oversized": True}))
    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.id) == (RowCode.PAYLOAD_SIZE_EXCEEDED, AN_ID)
    assert "40000000 bytes" in refusal.message


def test_more_rows_than_the_limit_are_refused_and_the_size_is_looked_at_first() -> None:
    limits = Limits(max_events_per_second=1, max_payload_kb=1)
    rows = RowJudge("t1", 9, limits)
    verdicts = [rows.judge(GOOD, LSN, 0, committed_at=COMMITTED) for _ in range(int(RATE_WINDOW_S) + 1)]
    assert [isinstance(verdict, Broadcast) for verdict in verdicts] == [True] * int(RATE_WINDOW_S) + [False]
    last = verdicts[-1]
    assert isinstance(last, Refusal)
    assert (last.code, last.id) == (RowCode.TOO_MANY_REQUESTS, AN_ID)
    large = rows.judge(GOOD._replace(binary_payload=bytes(5000)), LSN, 0, committed_at=COMMITTED)
    assert isinstance(large, Refusal)
    assert large.code is RowCode.PAYLOAD_SIZE_EXCEEDED


def test_rows_that_are_refused_or_passed_over_do_not_count_towards_the_rate() -> None:
    rows = RowJudge("t1", 9, Limits(max_events_per_second=1))
    for row in [GOOD._replace(topic=None), GOOD._replace(extension="presence")] * 100:
        rows.judge(row, LSN, 0, committed_at=COMMITTED)
    assert isinstance(rows.judge(GOOD, LSN, 0, committed_at=COMMITTED), Broadcast)


def test_rows_that_waited_in_the_wal_are_judged_by_when_they_were_written() -> None:
    rows = RowJudge("t1", 9, Limits(max_events_per_second=1))
    moments = [COMMITTED + timedelta(seconds=second) for second in range(1000)]
    assert all(isinstance(rows.judge(GOOD, LSN, 0, committed_at=moment), Broadcast) for moment in moments)


def test_rows_that_are_read_back_have_no_rate() -> None:
    rows = RowJudge("t1", 9, Limits(max_events_per_second=1))
    assert all(isinstance(rows.judge(GOOD, LSN, number, committed_at=None), Broadcast) for number in range(1000))
    assert isinstance(rows.judge(GOOD, LSN, 0, committed_at=COMMITTED), Broadcast)


def test_changed_limits_hold_from_the_next_row_on() -> None:
    rows = RowJudge("t1", 9, Limits(max_payload_kb=1))
    large = GOOD._replace(binary_payload=bytes(5000))
    assert isinstance(rows.judge(large, LSN, 0, committed_at=COMMITTED), Refusal)
    rows.change(Limits(max_payload_kb=10))
    assert isinstance(rows.judge(large, LSN, 0, committed_at=COMMITTED), Broadcast)


@pytest.mark.parametrize("payload", [b"\x00\x00\x00\x07", b'{"a":', b'"\xff"', b"", b"[" * 900 + b"]" * 900])
def test_a_payload_that_readers_could_not_read_is_refused(payload: bytes) -> None:
    assert refused(GOOD._replace(payload=payload)).code is RowCode.PAYLOAD_UNREADABLE


def test_deep_nesting_that_any_reader_can_follow_is_passed_on() -> None:
    deep = b"[" * 200 + b"]" * 200
    wide = b"[" + b",".join([b"[]"] * 5000) + b"]"
    for payload in (deep, wide):
        found = broadcast(GOOD._replace(payload=payload))
        assert decode_broadcast(encode_broadcast(found), "p:0") == found


def test_a_refusal_repeats_nothing_of_the_row_but_its_id() -> None:
    for code in ("topic", "private", "payload"):
        found = refused(GOOD._replace(**{code: None}))
        assert "room" not in found.message


@pytest.mark.parametrize(
    ("schema", "table", "ours"),
    [
        ("realtime", "messages", True),
        ("realtime", "messages_2030_01_01", True),
        ("realtime", "subscription", False),
        ("public", "messages", False),
        ("", "", False),
    ],
)
def test_only_the_messages_and_their_partitions_are_ours(schema: str, table: str, ours: bool) -> None:
    assert (picker_of(MESSAGES._replace(schema=schema, table=table)) is not None) is ours


def test_columns_are_found_by_name_and_one_that_is_not_there_is_null() -> None:
    relation = MESSAGES._replace(columns=(Column("event", TEXT, key=False), Column("topic", TEXT, key=False)))
    pick = picker_of(relation)
    assert pick is not None
    assert pick(("e", "t")) == MessageRow("t", None, None, "e", None, None, None, None)


plain = st.none() | st.just(UNCHANGED) | st.text(max_size=20) | st.binary(max_size=20) | st.booleans() | st.datetimes()


@settings(deadline=None)
@given(st.builds(MessageRow, *[plain] * 8), st.sampled_from(["broadcast", "presence"]))
def test_any_values_give_a_broadcast_that_can_be_read_or_a_refusal(row: MessageRow, extension: str) -> None:
    found = judge(row._replace(extension=extension))
    if isinstance(found, Broadcast):
        assert decode_broadcast(encode_broadcast(found), "p:0") == found
