from __future__ import annotations

import asyncio
import signal
import stat
from pathlib import Path

import asyncpg
import pytest

from streams.devstack.cluster import find_binaries
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import Process, launch
from streams.errors import StackFailed

pytestmark = pytest.mark.postgres


async def query(server: PostgresServer, sql: str) -> object:
    connection = await server.superuser_connection()
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def test_the_server_is_ready_for_logical_replication_and_safe_against_a_crash(postgres: PostgresServer) -> None:
    assert await query(postgres, "SHOW server_version") == "18.6"
    assert await query(postgres, "SHOW wal_level") == "logical"
    assert await query(postgres, "SHOW fsync") == "on"
    assert await query(postgres, "SHOW listen_addresses") == "127.0.0.1"


@pytest.mark.parametrize("program", ["pg_basebackup", "pg_resetwal", "pg_recvlogical", "pg_dump", "psql"])
def test_the_binaries_hold_what_fault_tests_need(program: str) -> None:
    assert (find_binaries() / program).exists()


async def test_changes_can_be_read_through_pgoutput(postgres: PostgresServer) -> None:
    connection = await postgres.superuser_connection()
    try:
        await connection.execute("CREATE TABLE changed (id int PRIMARY KEY)")
        await connection.execute("CREATE PUBLICATION everything FOR ALL TABLES")
        await connection.execute("SELECT pg_create_logical_replication_slot('reading', 'pgoutput')")
        await connection.execute("INSERT INTO changed VALUES (1)")
        messages = await connection.fetch(
            "SELECT data FROM pg_logical_slot_get_binary_changes('reading', NULL, NULL,"
            " 'proto_version', '1', 'publication_names', 'everything')"
        )
        await connection.execute("SELECT pg_drop_replication_slot('reading')")
    finally:
        await connection.close()

    kinds = [message["data"][:1] for message in messages]
    assert kinds == [b"B", b"R", b"I", b"C"]


async def test_the_owner_of_a_database_connects_with_the_password_that_was_made(postgres: PostgresServer) -> None:
    password = await postgres.create_database("shop", "shop_owner")

    connection = await asyncpg.connect(
        host=postgres.host, port=postgres.port, user="shop_owner", password=password, database="shop"
    )
    owner = await connection.fetchval("SELECT datdba::regrole::text FROM pg_database WHERE datname = 'shop'")
    await connection.close()

    assert owner == "shop_owner"


async def test_names_and_passwords_with_quotes_in_them_work(postgres: PostgresServer) -> None:
    name, owner, password = 'we"ird', "o'wner", "it's a \\ and a \" and $1 %s"

    await postgres.create_database(name, owner, password)
    connection = await asyncpg.connect(
        host=postgres.host, port=postgres.port, user=owner, password=password, database=name
    )
    found = await connection.fetchrow("select current_database(), current_user")
    await connection.close()

    assert tuple(found) == (name, owner)


async def test_a_second_database_for_the_same_owner_renews_the_password(postgres: PostgresServer) -> None:
    await postgres.create_database("first", "twice", "old")
    await postgres.create_database("second", "twice", "new")

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=postgres.host, port=postgres.port, user="twice", password="old", database="first")


async def test_a_password_is_needed_and_never_logged(postgres: PostgresServer) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host=postgres.host, port=postgres.port, user="postgres", password="wrong")
    with pytest.raises(asyncpg.ReservedNameError):
        await postgres.create_database("never", "pg_reserved", "must-not-be-logged")

    assert "must-not-be-logged" not in postgres.log_path.read_text(encoding="utf-8")


def test_the_superuser_password_is_for_its_owner_only(postgres: PostgresServer) -> None:
    assert stat.S_IMODE((postgres.directory / "password").stat().st_mode) == 0o600
    assert postgres.password not in repr(postgres)


def test_starting_a_server_that_runs_changes_nothing(postgres: PostgresServer) -> None:
    before = postgres.pid

    postgres.start()

    assert postgres.pid == before


def test_the_unix_socket_is_in_the_data_directory_or_left_out_when_its_path_is_too_long(tmp_path: Path) -> None:
    assert PostgresServer(Path("/srv/postgres")).socket_directory == Path("/srv/postgres/data")
    assert PostgresServer(tmp_path / ("long" * 30)).socket_directory is None


def test_rows_outlive_a_crash_and_a_restart_on_the_same_port(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path)
    server.start()
    try:
        before = server.pid
        asyncio.run(_write_rows(server))
        server.kill()
        assert not server.running
        assert not server.answers()
        server.start()
        assert server.pid not in (None, before)
        assert asyncio.run(query(server, "SELECT count(*) FROM kept")) == 100
        server.restart()
        assert asyncio.run(query(server, "SELECT count(*) FROM kept")) == 100
    finally:
        server.stop()
    assert not server.running


def test_a_port_that_another_program_holds_is_named(postgres: PostgresServer, tmp_path: Path) -> None:
    late = PostgresServer(tmp_path, port=postgres.port)

    with pytest.raises(StackFailed, match=f"port {postgres.port} .* in use"):
        late.start()


def test_a_server_that_does_not_come_up_shows_the_end_of_its_log(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, fsync=False, settings={"no_such_setting": "1"})

    with pytest.raises(StackFailed, match="no_such_setting"):
        server.start()

    assert not server.running


def test_an_interrupted_start_leaves_no_process(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path, fsync=False)
    begun: list[Process | None] = []

    def interrupt() -> None:
        begun.append(server.process)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.start(launched=interrupt)

    assert [process is not None and process.alive for process in begun] == [False]


def test_a_process_of_someone_else_is_never_taken_for_the_server(tmp_path: Path) -> None:
    other = launch(["sleep", "300"], tmp_path, tmp_path / "log")
    server = PostgresServer(tmp_path / "postgres", process=Process(other.pid, "born at another time"))
    try:
        assert not server.running
        server.stop()
        assert other.alive
    finally:
        other.end(signal.SIGKILL, 10.0)


async def _write_rows(server: PostgresServer) -> None:
    connection = await server.superuser_connection()
    try:
        await connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 100) AS id")
    finally:
        await connection.close()
