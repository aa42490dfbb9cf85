"""What keeps a stream from beginning: each thing has its code, and nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streams.catalog.entry import Database
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.replication.failure import ReplicationCode, ReplicationFailure
from streams.replication.session import ReplicationSession
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.naming import REPLICATION, replication_session_name, slot_name
from tests.integration.replication.place import connected, entry, provisioned_on, server
from tests.integration.replication.scene import CLAIM, LIMITS, TENANT, Scene, insert, scene_of, slots
from tests.integration.tenantdb.conditions import eventually
from tests.integration.tenantdb.conftest import changed
from tests.integration.tenantdb.listener import listening, say_nothing
from tests.support.waiting import DEADLINE_S

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

MAKE_SLOT = "select pg_create_logical_replication_slot($1, 'pgoutput', $2)"


async def failure_of(scene: Scene, **bounds: Any) -> ReplicationFailure:
    with pytest.raises(ReplicationFailure) as caught:
        async with scene.streaming(**bounds):
            pass
    return caught.value


@asynccontextmanager
async def replicating(database: Database, claim: int) -> AsyncIterator[ReplicationSession]:
    session = await ReplicationSession.open(
        database, application_name=replication_session_name(claim), connect_ms=5_000, setup_ms=5_000
    )
    try:
        yield session
    finally:
        session.close()


async def test_a_slot_that_another_session_streams_from_is_in_use(scene: Scene, superuser: Any) -> None:
    other = await connected(scene.database)
    await other.execute("set application_name = 'somebody'")
    await other.fetchval(MAKE_SLOT, slot_name(TENANT), True)
    failure = await failure_of(scene)
    assert failure.code == ReplicationCode.SLOT_IN_USE
    assert failure.blocked_by == f"pid {other.get_server_pid()} (application 'somebody')"
    assert await slots(superuser) == 1
    await other.close()


async def test_a_leftover_slot_that_nobody_uses_is_dropped(scene: Scene, superuser: Any) -> None:
    await superuser.fetchval(MAKE_SLOT, slot_name(TENANT), False)
    async with scene.streaming():
        await scene.topic.has(await insert(superuser))
    assert await slots(superuser) == 0


async def test_a_session_of_the_platform_puts_streaming_off(scene: Scene) -> None:
    other = await connected(scene.database)
    await other.execute(f"set application_name = '{REPLICATION}'")
    failure = await failure_of(scene)
    assert failure.code == ReplicationCode.SLOT_IN_USE
    assert failure.blocked_by == f"pid {other.get_server_pid()} (application '{REPLICATION}')"
    await other.close()


async def test_a_leftover_session_of_an_older_claim_is_ended(scene: Scene, superuser: Any) -> None:
    async with replicating(scene.database, CLAIM - 1) as older:
        await older.make_slot(slot_name(TENANT))
        async with scene.streaming():
            await scene.topic.has(await insert(superuser))
        there = "select count(*) from pg_stat_activity where pid = $1"
        assert await superuser.fetchval(there, older.backend_pid) == 0


async def test_taking_the_lock_over_ends_the_older_claims_stream(scene: Scene, superuser: Any) -> None:
    older = await TenantConnection.open(scene.database, tenant=TENANT, claim=5, limits=LIMITS.session)
    async with replicating(scene.database, 5) as stream, scene.connected(9):

        async def gone() -> bool:
            there = "select count(*) from pg_stat_activity where pid = $1"
            return not await superuser.fetchval(there, stream.backend_pid)

        await eventually(gone, "the older claim streams no more")
    await older.close()


async def test_an_open_transaction_that_keeps_the_slot_from_being_made_is_named(scene: Scene, superuser: Any) -> None:
    await superuser.execute("set application_name = 'slow writer'")
    async with superuser.transaction():
        await superuser.fetchval("select pg_current_xact_id()")
        failure = await failure_of(scene, setup_ms=600, blocker_look_ms=50)
        assert failure.code == ReplicationCode.CONNECTION_TIMEOUT
        assert failure.blocked_by is not None
        assert failure.blocked_by.startswith(f"pid {superuser.get_server_pid()} (application 'slow writer')")
        assert failure.blocked_by in str(failure)
        name = replication_session_name(CLAIM)
        assert await superuser.fetchval("select count(*) from pg_stat_activity where application_name = $1", name) == 0
        assert await slots(superuser) == 0
    async with scene.streaming():
        await scene.topic.has(await insert(superuser))


async def test_a_prepared_transaction_that_nobody_ends_is_named(kafka: KafkaServer, tmp_path: Path) -> None:
    with server(tmp_path / "server", {"max_prepared_transactions": "2"}) as made:
        database = entry(made, "postgres")
        session = await connected(database)
        await session.execute("create schema realtime; create table realtime.messages (id int primary key)")
        await session.execute("begin; insert into realtime.messages values (1); prepare transaction 'forgotten'")
        async with scene_of(kafka, database) as scene:
            failure = await failure_of(scene, setup_ms=600, blocker_look_ms=50)
        assert failure.blocked_by is not None
        assert failure.blocked_by.startswith("prepared transaction 'forgotten'")
        await session.execute("rollback prepared 'forgotten'")
        await session.close()


async def test_a_server_without_a_free_wal_sender_says_so(kafka: KafkaServer, tmp_path: Path) -> None:
    with server(tmp_path / "server", {"max_wal_senders": "1"}) as made:
        database = entry(made, "postgres")
        session = await connected(database)
        await session.execute("create schema realtime; create table realtime.messages (id int primary key)")
        async with scene_of(kafka, database) as scene, replicating(database, 1) as other:
            await other.make_slot("other")
            failure = await failure_of(scene)
        assert failure.code == ReplicationCode.MAX_WAL_SENDERS
        await session.close()


async def test_a_server_that_does_not_log_for_replication_says_so(kafka: KafkaServer, tmp_path: Path) -> None:
    with server(tmp_path / "server", {"wal_level": "replica"}) as made:
        database = entry(made, "postgres")
        session = await connected(database)
        await session.execute("create schema realtime; create table realtime.messages (id int primary key)")
        async with scene_of(kafka, database) as scene:
            failure = await failure_of(scene)
        assert failure.code == ReplicationCode.START_FAILED
        assert "wal_level" in str(failure)
        await session.close()


async def test_a_user_that_may_not_replicate_is_refused(scene: Scene, superuser: Any) -> None:
    role = f"owner_{scene.database.name}"
    await superuser.execute(f"create role {role} login password 'secret' in role supabase_realtime_admin")
    await superuser.execute(f"grant create on database {scene.database.name} to {role}")
    scene.database = changed(scene.database, user=role, password="secret")
    failure = await failure_of(scene)
    assert failure.code == ReplicationCode.CONNECTION_TIMEOUT
    assert "replication" in str(failure).lower()
    assert "secret" not in str(failure)
    await superuser.execute("drop publication supabase_realtime_messages_publication")
    await superuser.execute(f"drop owned by {role}")
    await superuser.execute(f"drop role {role}")


async def test_an_ordinary_owner_streams_and_is_told_what_stands_in_the_way(kafka: KafkaServer, tmp_path: Path) -> None:
    with server(tmp_path / "server") as made:
        superuser = Superuser(made.host, made.port, made.user, made.password)
        database = Database.model_validate(await create_tenant_database(superuser, "ordinary"))
        async with scene_of(kafka, await provisioned_on(database)) as scene:
            stranger = await connected(entry(made, "postgres"))
            await stranger.execute("set application_name = 'a stranger'")
            async with stranger.transaction():
                await stranger.fetchval("select pg_current_xact_id()")
                failure = await failure_of(scene, setup_ms=600, blocker_look_ms=50)
            # Since when its transaction is open only its own user is told.
            assert failure.blocked_by == f"pid {stranger.get_server_pid()} (application 'a stranger')"
            await stranger.close()
            writer = await connected(database)
            async with scene.streaming():
                await scene.topic.has(await insert(writer))
            meanwhile = await insert(writer, 3)
            async with scene.streaming() as stream:
                await scene.topic.has(meanwhile)
            assert (stream.started.backfilled, stream.started.gap) == (3, None)
            assert await slots(writer) == 0
            await writer.close()


async def test_a_server_that_does_not_answer_is_a_timeout(scene: Scene) -> None:
    async with listening(say_nothing) as port, scene.connected() as connection:
        scene.database = changed(scene.database, port=port)
        with pytest.raises(ReplicationFailure) as caught:
            await scene.open(connection, session=replace(LIMITS.session, connect_ms=200))
    assert caught.value.code == ReplicationCode.CONNECTION_TIMEOUT


async def test_without_a_pooled_session_nothing_begins(scene: Scene, superuser: Any) -> None:
    async with scene.connected() as connection:
        await superuser.execute(f"select pg_terminate_backend({connection.backend_pids()[1]})")
        async with asyncio.timeout(DEADLINE_S):
            await connection.lost.wait()
        with pytest.raises(ReplicationFailure) as caught:
            await scene.open(connection)
    assert caught.value.code == ReplicationCode.CONNECTION_TIMEOUT
