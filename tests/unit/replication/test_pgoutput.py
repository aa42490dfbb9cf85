from __future__ import annotations

import struct
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import PgoutputUnreadable
from streams.replication.columns import UNCHANGED
from streams.replication.pgoutput import RELATIONS_MAX, Decoder
from streams.replication.protocol import Begin, Column, Commit, Insert, Relation, Skipped
from tests.unit.replication import encoder
from tests.unit.replication.encoder import A_ROW, BOOL, MESSAGES, TEXT

OUTCOMES: Final = (Begin, Commit, Relation, Insert, Skipped, PgoutputUnreadable)


def knowing(*relations: Relation) -> Decoder:
    """A decoder to which these were announced."""
    decoder = Decoder()
    for relation in relations:
        decoder.decode(encoder.relation(relation))
    return decoder


def unreadable(payload: bytes, decoder: Decoder | None = None) -> str:
    with pytest.raises(PgoutputUnreadable) as caught:
        (decoder or knowing(MESSAGES)).decode(payload)
    return str(caught.value)


def outcome(payload: bytes) -> type:
    """What comes of the payload: a record's type, or the one error; anything else passes through."""
    try:
        return type(knowing(MESSAGES).decode(payload))
    except PgoutputUnreadable:
        return PgoutputUnreadable


def flipped(payload: bytes, bit: int) -> bytes:
    changed = bytearray(payload)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@settings(deadline=None)
@given(encoder.begins)
def test_the_begin_of_a_transaction_reads_as_it_was_written(record: Begin) -> None:
    assert Decoder().decode(encoder.begin(record)) == record


@settings(deadline=None)
@given(encoder.commits)
def test_the_commit_of_a_transaction_reads_as_it_was_written(record: Commit) -> None:
    assert Decoder().decode(encoder.commit(record)) == record


@settings(deadline=None)
@given(encoder.relations(), st.sampled_from([b"d", b"n", b"f", b"i"]))
def test_a_relation_reads_as_it_was_announced(record: Relation, identity: bytes) -> None:
    assert Decoder().decode(encoder.relation(record, identity)) == record


@settings(deadline=None)
@given(encoder.rows(), st.booleans())
def test_a_row_reads_as_it_was_written_in_both_formats(found: tuple[Relation, tuple[Any, ...]], binary: bool) -> None:
    relation, values = found
    assert knowing(relation).decode(encoder.insert(relation, values, binary=binary)) == Insert(relation.oid, values)


@settings(deadline=None)
@given(encoder.skipped)
def test_what_nothing_is_done_with_is_told_by_its_kind(payload: bytes) -> None:
    kinds = {
        b"U": "update",
        b"D": "delete",
        b"T": "truncate",
        b"Y": "type",
        b"O": "origin",
        b"M": "message",
    }
    assert Decoder().decode(payload) == Skipped(kinds[payload[:1]])


def test_null_and_a_large_value_that_was_not_sent_are_told_apart() -> None:
    values = (None, UNCHANGED, *A_ROW[2:])
    found = knowing(MESSAGES).decode(encoder.insert(MESSAGES, values))
    assert isinstance(found, Insert)
    assert found.values[:2] == (None, UNCHANGED)


def test_a_relation_that_is_announced_anew_is_read_in_its_new_shape() -> None:
    changed = Relation(MESSAGES.oid, "realtime", "messages", (Column("private", BOOL, key=False),))
    assert knowing(MESSAGES, changed).decode(encoder.insert(changed, [True])) == Insert(MESSAGES.oid, (True,))


def test_only_the_columns_that_were_asked_for_are_read() -> None:
    decoder = Decoder(frozenset({"topic"}))
    decoder.decode(encoder.relation(MESSAGES))
    found = decoder.decode(encoder.insert(MESSAGES, A_ROW))
    assert isinstance(found, Insert)
    assert found.values[0] == "room:1"
    assert found.values[4] == b"\x01"


def test_text_that_is_no_utf_8_stays_bytes_and_its_neighbours_are_read() -> None:
    relation = Relation(7, "s", "t", (Column("a", TEXT, key=False), Column("b", TEXT, key=False)))
    body = encoder.value(TEXT, "fine", binary=True)
    broken = b"b" + struct.pack("!I", 2) + b"\xff\xfe"
    payload = b"I" + struct.pack("!I", 7) + b"N" + struct.pack("!H", 2) + body + broken
    assert knowing(relation).decode(payload) == Insert(7, ("fine", b"\xff\xfe"))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_a_message_or_unreadable(payload: bytes) -> None:
    assert outcome(payload) in OUTCOMES


@settings(deadline=None)
@given(st.sampled_from(list(b"BCRIUDTYOMSEcAbPKrp")), st.binary(max_size=200))
def test_random_bytes_behind_a_known_kind_are_a_message_or_unreadable(kind: int, rest: bytes) -> None:
    assert outcome(bytes([kind]) + rest) in OUTCOMES


@settings(deadline=None)
@given(encoder.payloads)
def test_no_beginning_of_a_message_is_taken_for_a_message(payload: bytes) -> None:
    for end in range(len(payload)):
        unreadable(payload[:end])


@settings(deadline=None)
@given(encoder.payloads, st.binary(min_size=1, max_size=20))
def test_a_message_that_is_too_long_is_unreadable(payload: bytes, more: bytes) -> None:
    unreadable(payload + more)


@settings(deadline=None)
@given(encoder.payloads, st.data())
def test_a_message_with_a_flipped_bit_is_a_message_or_unreadable(payload: bytes, chance: st.DataObject) -> None:
    bit = chance.draw(st.integers(0, 8 * len(payload) - 1))
    assert outcome(flipped(payload, bit)) in OUTCOMES


def test_each_single_bit_of_a_row_may_be_wrong() -> None:
    payload = encoder.insert(MESSAGES, A_ROW)
    outcomes = {outcome(flipped(payload, bit)) for bit in range(8 * len(payload))}
    assert {Insert, PgoutputUnreadable} <= outcomes <= set(OUTCOMES)


@pytest.mark.parametrize("kind", [b"S", b"E", b"c", b"A", b"b", b"P", b"K", b"r", b"p", b"x"])
def test_kinds_that_were_not_asked_for_are_unreadable(kind: bytes) -> None:
    assert "no kind of message that was asked for" in unreadable(kind + bytes(40))


def test_a_row_of_a_relation_that_was_not_announced_is_unreadable() -> None:
    assert "relation 16400" in unreadable(encoder.insert(MESSAGES, A_ROW), Decoder())


def test_a_row_of_another_number_of_columns_than_announced_is_unreadable() -> None:
    fewer = MESSAGES._replace(columns=MESSAGES.columns[:3])
    assert "3 columns" in unreadable(encoder.insert(fewer, A_ROW[:3]))


@pytest.mark.parametrize(
    ("payload", "place", "wrong"),
    [
        (encoder.insert(MESSAGES, A_ROW), 5, b"K"),
        (encoder.insert(MESSAGES, A_ROW), 8, b"x"),
        (encoder.relation(MESSAGES), len(b"R1234realtime0messages_2030_01_010"), b"x"),
        (encoder.update(MESSAGES, A_ROW), 5, b"x"),
        (encoder.update(MESSAGES, A_ROW), len(encoder.update(MESSAGES, A_ROW)) - 1, b"x"),
        (encoder.delete(MESSAGES, A_ROW), 5, b"N"),
    ],
)
def test_a_wrong_letter_inside_a_message_makes_it_unreadable(payload: bytes, place: int, wrong: bytes) -> None:
    knowing(MESSAGES).decode(payload)
    unreadable(payload[:place] + wrong + payload[place + 1 :])


def test_a_message_that_is_unreadable_changes_nothing() -> None:
    decoder = knowing(MESSAGES)
    unreadable(encoder.relation(MESSAGES._replace(columns=()))[:-1], decoder)
    assert decoder.decode(encoder.insert(MESSAGES, A_ROW)) == Insert(MESSAGES.oid, A_ROW)


def test_names_that_are_no_utf_8_do_not_end_the_stream() -> None:
    found = Decoder().decode(encoder.relation(MESSAGES).replace(b"topic", b"to\xffic"))
    assert isinstance(found, Relation)
    assert found.columns[0].name == "to\N{REPLACEMENT CHARACTER}ic"


def test_relations_beyond_the_bound_push_the_oldest_out() -> None:
    relations = [MESSAGES._replace(oid=oid) for oid in range(RELATIONS_MAX + 1)]
    decoder = knowing(*relations)
    unreadable(encoder.insert(relations[0], A_ROW), decoder)
    for relation in relations[1:]:
        assert decoder.decode(encoder.insert(relation, A_ROW)) == Insert(relation.oid, A_ROW)


def test_a_message_says_what_was_unreadable_and_repeats_nothing_of_a_row() -> None:
    text = unreadable(encoder.insert(MESSAGES, A_ROW)[:-1])
    assert text.startswith("message b'I' of ")
    assert "room" not in text
