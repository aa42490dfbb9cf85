"""What a real server writes, read by the decoder: the server's own function hands its messages out."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import pytest

from streams.replication.pgoutput import Decoder
from streams.replication.protocol import Begin, Commit, Insert, Message, Relation, Skipped

pytestmark = pytest.mark.postgres

TABLE: Final = """
create schema realtime;
create table realtime.messages (
  number int primary key, words text, yes boolean, content jsonb, plain json, moment timestamp, instant timestamptz,
  id uuid, bytes bytea
);
create publication ours for table realtime.messages;
"""
INSERT: Final = "insert into realtime.messages values ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
AN_ID: Final = uuid.UUID("7f3c0a52-93a1-4a0e-8a39-0d3e7c1b2f10")
NOON: Final = datetime(2030, 1, 1, 12, 0, 0, 123456, UTC)


@pytest.fixture
async def slot(superuser: Any) -> AsyncIterator[str]:
    """A slot of the test's own, and a table that is published."""
    name = f"decoding_{uuid.uuid4().hex}"
    await superuser.execute(TABLE)
    await superuser.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", name)
    yield name
    await superuser.execute("select pg_drop_replication_slot($1)", name)


async def decoded(session: Any, slot: str, version: int = 2, *, binary: bool = True) -> list[Message]:
    """What was written since the last call."""
    rows = await session.fetch(
        "select data from pg_logical_slot_get_binary_changes($1, null, null, 'proto_version', $2,"
        " 'publication_names', 'ours', 'messages', 'true', 'binary', $3)",
        slot,
        str(version),
        "true" if binary else "false",
    )
    decoder = Decoder()
    return [decoder.decode(row["data"]) for row in rows]


def row_of(messages: list[Message]) -> Mapping[str, Any]:
    """The only row that was inserted, by column."""
    (relation,) = (message for message in messages if isinstance(message, Relation))
    (insert,) = (message for message in messages if isinstance(message, Insert))
    return dict(zip((column.name for column in relation.columns), insert.values, strict=True))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("version", [1, 2])
async def test_every_type_of_the_messages_is_read_as_it_was_written(
    superuser: Any, slot: str, version: int, binary: bool
) -> None:
    content = '{"a": "é \N{SNOWMAN}", "b": [1, 2.50, null]}'
    values = [7, "é \N{SNOWMAN}", True, content, content, NOON.replace(tzinfo=None), NOON, AN_ID, b"\x00\xff\\"]
    await superuser.execute(INSERT, *values)
    messages = await decoded(superuser, slot, version, binary=binary)
    assert [type(message) for message in messages] == [Begin, Relation, Insert, Commit]
    assert row_of(messages) == {
        "number": b"\x00\x00\x00\x07" if binary else b"7",
        "words": values[1],
        "yes": True,
        "content": content.encode(),
        "plain": content.encode(),
        "moment": values[5],
        "instant": NOON,
        "id": str(AN_ID),
        "bytes": b"\x00\xff\\",
    }


async def test_a_transaction_has_its_commit_at_both_ends(superuser: Any, slot: str) -> None:
    before = datetime.now(UTC)
    async with superuser.transaction():
        for number in range(2):
            await superuser.execute(INSERT, number, *[None] * 8)
        xid = await superuser.fetchval("select pg_current_xact_id()::text::bigint")
    begin, relation, first, second, commit = await decoded(superuser, slot)
    assert isinstance(begin, Begin)
    assert isinstance(relation, Relation)
    assert isinstance(first, Insert)
    assert isinstance(second, Insert)
    assert isinstance(commit, Commit)
    assert (begin.xid, begin.final_lsn, begin.commit_time) == (xid, commit.commit_lsn, commit.commit_time)
    assert commit.end_lsn > commit.commit_lsn
    assert before <= begin.commit_time <= datetime.now(UTC)
    assert (relation.schema, relation.table, relation.oid) == ("realtime", "messages", first.relation)
    assert [column.name for column in relation.columns if column.key] == ["number"]
    assert second.values == (b"\x00\x00\x00\x01", *[None] * 8)


@pytest.mark.parametrize("binary", [True, False])
async def test_times_beyond_those_of_python_do_not_end_the_stream(superuser: Any, slot: str, binary: bool) -> None:
    for number, moment in enumerate(
        ("infinity", "-infinity", "294276-12-31 23:59:59.999999", "0044-03-15 12:00:00 BC")
    ):
        await superuser.execute(
            f"insert into realtime.messages (number, moment, instant) values ({number}, '{moment}', '{moment}')"  # noqa: S608 - written above
        )
    inserts = [message for message in await decoded(superuser, slot, binary=binary) if isinstance(message, Insert)]
    earliest, latest = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    assert [insert.values[6] for insert in inserts] == [latest, earliest, latest, earliest]
    assert [insert.values[5] for insert in inserts] == [
        moment.replace(tzinfo=None) for moment in (latest, earliest, latest, earliest)
    ]


@pytest.mark.parametrize("binary", [True, False])
async def test_what_is_not_inserted_is_passed_over(superuser: Any, slot: str, binary: bool) -> None:
    large = "large" * 100_000
    await superuser.execute("alter table realtime.messages alter column words set storage external")
    await superuser.execute(INSERT, 1, large, *[None] * 7)
    await decoded(superuser, slot, binary=binary)
    await superuser.execute("alter table realtime.messages replica identity full")
    await superuser.execute("update realtime.messages set yes = true")
    await superuser.execute("delete from realtime.messages")
    await superuser.execute("truncate realtime.messages")
    await superuser.execute("select pg_logical_emit_message(true, 'prefix', 'content')")
    await superuser.execute("create type realtime.mood as enum ('good')")
    await superuser.execute("alter table realtime.messages add column mood realtime.mood")
    await superuser.execute("insert into realtime.messages (number, mood) values (2, 'good')")
    messages = await decoded(superuser, slot, binary=binary)
    kinds = [message.kind for message in messages if isinstance(message, Skipped)]
    assert kinds == ["update", "delete", "truncate", "message", "type"]
    insert = messages[-2]
    assert isinstance(insert, Insert)
    assert insert.values[-1] == b"good"
