from __future__ import annotations

import datetime as dt
import json
import uuid
from typing import Any

import asyncpg
import pytest

from streams.catalog.entry import Database
from streams.tenantdb.partitions import partition_name

pytestmark = pytest.mark.postgres

COLUMNS = [
    ("topic", "text", True),
    ("extension", "text", True),
    ("payload", "jsonb", False),
    ("event", "text", False),
    ("private", "boolean", False),
    ("updated_at", "timestamp without time zone", True),
    ("inserted_at", "timestamp without time zone", True),
    ("id", "uuid", True),
    ("binary_payload", "bytea", False),
]


@pytest.fixture
async def session(provisioned: Database, superuser: Any) -> Any:
    assert await superuser.fetchval("select current_database()") == provisioned.name
    return superuser


async def messages(session: Any) -> list[Any]:
    return list(await session.fetch("select *, tableoid::regclass::text as partition from realtime.messages"))


async def warnings_of(session: Any, statement: str) -> list[str]:
    heard: list[str] = []

    def hear(_session: Any, message: Any) -> None:
        heard.append(message.message)

    session.add_log_listener(hear)
    await session.execute(statement)
    await session.fetchval("select 1")
    session.remove_log_listener(hear)
    return heard


async def test_messages_have_the_platforms_columns(session: Any) -> None:
    rows = await session.fetch(
        "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute "
        "where attrelid = 'realtime.messages'::regclass and attnum > 0 order by attnum"
    )
    assert [tuple(row) for row in rows] == COLUMNS
    key = await session.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint "
        "where conrelid = 'realtime.messages'::regclass and contype = 'p'"
    )
    assert key == "PRIMARY KEY (id, inserted_at)"


async def test_a_sent_message_is_a_row_of_todays_partition(session: Any, today: dt.date) -> None:
    await session.execute("""select realtime.send('{"text": "hello"}', 'greeting', 'room:1')""")
    (row,) = await messages(session)
    # The day may have turned since the partitions were made; tomorrow's is there too.
    assert row["partition"] in {
        f"realtime.{partition_name(today)}",
        f"realtime.{partition_name(today + dt.timedelta(days=1))}",
    }
    assert (row["topic"], row["event"], row["extension"], row["private"]) == ("room:1", "greeting", "broadcast", True)
    assert json.loads(row["payload"]) == {"text": "hello", "id": str(row["id"])}
    assert row["binary_payload"] is None


async def test_a_payload_with_an_id_keeps_it(session: Any) -> None:
    await session.execute("""select realtime.send('{"id": "mine"}', 'e', 't', false)""")
    (row,) = await messages(session)
    assert json.loads(row["payload"]) == {"id": "mine"}
    assert row["private"] is False
    assert isinstance(row["id"], uuid.UUID)


@pytest.mark.parametrize("payload", ["[1, 2]", '"text"', "7"])
async def test_a_payload_that_is_no_object_is_sent_as_it_is(session: Any, payload: str) -> None:
    await session.execute(f"select realtime.send('{payload}', 'e', 't')")
    (row,) = await messages(session)
    assert json.loads(row["payload"]) == json.loads(payload)


async def test_bytes_are_sent_as_they_are(session: Any) -> None:
    await session.execute(r"select realtime.send_binary('\x00ff'::bytea, 'e', 't')")
    (row,) = await messages(session)
    assert (row["binary_payload"], row["payload"], row["private"]) == (b"\x00\xff", None, True)


@pytest.mark.parametrize("call", ["realtime.send('{}', 'e', null)", "realtime.send_binary('x', 'e', null)"])
async def test_a_message_that_cannot_be_sent_is_a_warning_and_fails_nothing(session: Any, call: str) -> None:
    heard = await warnings_of(session, f"select {call}")
    assert len(heard) == 1
    assert heard[0].startswith("WarnSendingBroadcastMessage: ")
    assert await messages(session) == []


async def test_the_topic_is_known_within_the_transaction_and_not_after_it(session: Any) -> None:
    async with session.transaction():
        await session.execute("select realtime.send('{}', 'e', 'room:1')")
        assert await session.fetchval("select realtime.topic()") == "room:1"
    assert await session.fetchval("select realtime.topic()") is None


async def test_a_row_has_a_json_payload_or_a_binary_one_and_not_both(session: Any) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="messages_payload_exclusive"):
        await session.execute(
            "insert into realtime.messages (topic, extension, payload, binary_payload) "
            "values ('t', 'broadcast', '{}', 'x')"
        )


async def test_a_row_belongs_to_the_utc_day_whatever_the_sessions_time_zone(session: Any) -> None:
    async with session.transaction():
        await session.execute("set local time zone 'Pacific/Kiritimati'")
        await session.execute("select realtime.send('{}', 'e', 't')")
        (row,) = await messages(session)
        assert row["inserted_at"] == await session.fetchval("select timezone('utc', now())")


TRIGGER = """
create table public.orders (number integer primary key, state text);
create function public.announce() returns trigger language plpgsql as $$
begin
  perform realtime.broadcast_changes('orders', tg_op, tg_op, tg_table_name, tg_table_schema, new, old, tg_level);
  return null;
end $$;
create trigger announce after insert or update or delete on public.orders
  for each row execute function public.announce();
"""


async def test_a_changed_row_is_broadcast_with_what_it_was_and_is(session: Any) -> None:
    await session.execute(TRIGGER)
    await session.execute("insert into orders values (1, 'open')")
    await session.execute("update orders set state = 'paid'")
    await session.execute("delete from orders")
    sent = {row["event"]: json.loads(row["payload"]) for row in await messages(session)}
    assert [(p["old_record"], p["record"]) for p in (sent["INSERT"], sent["UPDATE"], sent["DELETE"])] == [
        (None, {"number": 1, "state": "open"}),
        ({"number": 1, "state": "open"}, {"number": 1, "state": "paid"}),
        ({"number": 1, "state": "paid"}, None),
    ]
    assert sent["UPDATE"] | {"id": None, "old_record": None, "record": None} == {
        "id": None,
        "old_record": None,
        "record": None,
        "operation": "UPDATE",
        "table": "orders",
        "schema": "public",
    }
    assert {row["private"] for row in await messages(session)} == {True}


@pytest.mark.parametrize(("operation", "level"), [("INSERT", "STATEMENT"), ("TRUNCATE", "ROW")])
async def test_changes_are_broadcast_for_rows_only(session: Any, operation: str, level: str) -> None:
    with pytest.raises(asyncpg.RaiseError, match="broadcast_changes is for"):
        await session.execute(
            "select realtime.broadcast_changes"
            f"('t', 'e', '{operation}', 'orders', 'public', null::record, null::record, '{level}')"
        )


async def test_a_client_sees_and_writes_nothing_without_a_policy(session: Any) -> None:
    await session.execute("select realtime.send('{}', 'e', 'room:1')")
    async with session.transaction():
        await session.execute("set local role authenticated")
        assert await session.fetchval("select count(*) from realtime.messages") == 0
        heard = await warnings_of(session, "select realtime.send('{}', 'e', 'room:1')")
        assert "row-level security" in heard[0]


async def test_a_policy_lets_a_client_see_its_topic(session: Any) -> None:
    await session.execute("select realtime.send('{}', 'e', 'room:1')")
    await session.execute("select realtime.send('{}', 'e', 'room:2')")
    await session.execute(
        "create policy own_room on realtime.messages for select to authenticated using (topic = realtime.topic())"
    )
    async with session.transaction():
        await session.execute("set local role authenticated")
        await session.execute("set local realtime.topic = 'room:2'")
        assert await session.fetchval("select count(*) from realtime.messages") == 1


async def test_the_service_role_sees_every_row(session: Any) -> None:
    await session.execute("select realtime.send('{}', 'e', 'room:1')")
    async with session.transaction():
        await session.execute("set local role service_role")
        assert await session.fetchval("select count(*) from realtime.messages") == 1


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
async def test_clients_reach_neither_partitions_nor_migrations(session: Any, today: dt.date, role: str) -> None:
    for table in (partition_name(today), "schema_migrations"):
        assert not await session.fetchval(
            "select has_table_privilege($1, $2, 'select, insert, update, delete')", role, f"realtime.{table}"
        )
