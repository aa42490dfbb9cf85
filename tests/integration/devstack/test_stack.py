from __future__ import annotations

import asyncio
import base64
import json
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.devstack.kafka import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import Process, launch, log_tail, wait_until
from streams.devstack.stack import Stack, ephemeral_stack
from streams.devstack.state import KafkaState, PartState, StackState, write_state
from streams.errors import StackFailed

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


@pytest.fixture(scope="module")
def stack(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with ephemeral_stack(tmp_path_factory.mktemp("stack"), cache=cache) as ready:
        yield ready


def test_a_second_up_starts_nothing_and_returns_the_same_addresses(stack: Stack, cache: Path) -> None:
    before = stack.status()
    said: list[str] = []

    after = Stack(stack.data_dir, cache=cache).up(said.append)

    assert after == before
    assert after.up
    assert [line.partition(" at ")[0] for line in said] == ["Kafka is already up", "PostgreSQL is already up"]


def test_up_starts_only_the_part_that_is_missing_on_its_data(stack: Stack) -> None:
    before = stack.status()
    assert before.kafka is not None
    assert before.postgres is not None
    asyncio.run(stack.postgres.create_database("kept", "keeper"))
    stack.postgres.kill()
    assert not stack.status().up

    after = stack.up()

    assert after.kafka == before.kafka
    assert after.postgres is not None
    assert after.postgres.address == before.postgres.address
    assert after.postgres.pid != before.postgres.pid
    assert asyncio.run(_database_exists(stack.postgres, "kept"))


def test_the_environment_file_gives_a_shell_the_settings_and_is_for_its_owner_only(stack: Stack) -> None:
    script = '. "$0" && printf "%s\\n" "$TENANT_CONNECT_KAFKA" "$TENANT_CONNECT_ENCRYPTION_KEYS"'
    shell = subprocess.run(  # noqa: S603 - the script stands above, the path is the test's own
        ["/bin/sh", "-c", script, str(stack.environment_path)], capture_output=True, text=True, check=True
    )
    kafka, keys = shell.stdout.splitlines()

    assert kafka == stack.kafka.bootstrap
    assert [len(base64.b64decode(key)) for key in json.loads(keys).values()] == [32]
    for path in (stack.environment_path, stack.directory / "encryption-key", stack.directory / "postgres/password"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_no_secret_is_in_the_state_or_in_what_is_said(stack: Stack) -> None:
    said: list[str] = []
    stack.up(said.append)
    text = (stack.directory / "state.json").read_text(encoding="utf-8") + repr(stack.status()) + "".join(said)

    assert stack.postgres.password not in text
    assert stack.environment()["TENANT_CONNECT_ENCRYPTION_KEYS"] not in text
    assert next(iter(json.loads(stack.environment()["TENANT_CONNECT_ENCRYPTION_KEYS"]).values())) not in text


def test_two_ups_at_once_start_one_stack_and_down_ends_exactly_what_they_started(
    tmp_path: Path, cache: Path, bystander: Process
) -> None:
    with ThreadPoolExecutor(2) as commands:
        first, second = commands.map(lambda _: Stack(tmp_path, cache=cache).up(), range(2))
    try:
        assert first == second
        servers: list[KafkaServer | PostgresServer] = [
            Stack(tmp_path, cache=cache).kafka,
            Stack(tmp_path, cache=cache).postgres,
        ]
        environment = Stack(tmp_path, cache=cache).environment()
    finally:
        after = Stack(tmp_path, cache=cache).down()

    assert not any(server.running or server.answers() for server in servers)
    assert bystander.alive
    assert after.kafka is not None
    assert after.kafka.pid is None
    assert after.created_at == first.created_at
    assert Stack(tmp_path, cache=cache).environment() == environment


def test_what_a_killed_up_has_begun_is_ended_by_down(tmp_path: Path, cache: Path) -> None:
    code = "import sys, pathlib; from streams.devstack.stack import Stack; Stack(pathlib.Path(sys.argv[1])).up()"
    command = launch([sys.executable, "-c", code, str(tmp_path)], Path.cwd(), tmp_path / "up.log")
    state = tmp_path / "dev" / "state.json"
    assert wait_until(state.exists, 60.0), log_tail(tmp_path / "up.log")
    command.end(signal.SIGKILL, 0.0)
    stack = Stack(tmp_path, cache=cache)
    begun = stack.kafka
    assert begun.running
    assert not begun.answers(), "the process was recorded only once it answered"

    stack.down()

    assert not begun.running


def test_a_process_that_has_got_a_recorded_pid_since_is_left_alone(tmp_path: Path, bystander: Process) -> None:
    stack = Stack(tmp_path)
    kafka = KafkaState(version="4.3.1", port=20001, controller_port=20002, pid=bystander.pid, birth="before/1")
    postgres = PartState(version="18.6", port=20003, pid=bystander.pid, birth="before/2")
    stack.directory.mkdir(parents=True)
    write_state(stack.directory / "state.json", StackState(kafka=kafka, postgres=postgres))
    said: list[str] = []

    assert not stack.status().up
    stack.down(said.append)

    assert bystander.alive
    assert said == ["Kafka was not running", "PostgreSQL was not running"]


def test_down_where_nothing_was_ever_started_says_so_and_writes_no_state(tmp_path: Path) -> None:
    stack = Stack(tmp_path)

    assert stack.down().created_at is None
    with pytest.raises(StackFailed, match=r"never started .* dev up"):
        stack.environment()


def test_a_state_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    stack.directory.mkdir(parents=True)
    (stack.directory / "state.json").write_text('{"kafka": 1}', encoding="utf-8")

    with pytest.raises(StackFailed, match=r"state\.json cannot be read"):
        stack.status()


def test_erasing_removes_data_key_and_state(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    (stack.directory / "kafka" / "data").mkdir(parents=True)
    (stack.directory / "encryption-key").write_text("key", encoding="utf-8")
    write_state(stack.directory / "state.json", StackState())

    stack.down(erase=True)

    assert [path.name for path in stack.directory.iterdir()] == ["lock"]


async def _database_exists(server: PostgresServer, name: str) -> bool:
    connection = await server.superuser_connection()
    try:
        return bool(await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name))
    finally:
        await connection.close()
