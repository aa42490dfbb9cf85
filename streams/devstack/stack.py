"""The local stack: Apache Kafka and PostgreSQL, started and stopped together, with their state in one directory."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from streams.devstack.cluster import postgres_version
from streams.devstack.kafka import KAFKA_VERSION, KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.prerequisites import find_java
from streams.devstack.process import port_is_free, wait_until
from streams.devstack.secret import ensure_secret, write_secret
from streams.devstack.state import KafkaState, PartState, StackState, locked, read_state, write_state
from streams.devstack.status import StackStatus, part_status
from streams.errors import StackFailed

DATA_DIR = Path(".tenant-connect")
"""Where a project keeps its data unless told otherwise."""

KEY_BYTES = 32
"""Length of the generated encryption key: AES-256."""

KEY_ID = "local-1"
"""Name of the generated encryption key."""

SILENCE_SECONDS = 10.0
"""How long a server that runs may leave a question unanswered before it is started again."""

Progress = Callable[[str], None]
"""Receives one sentence for each step, for whoever shows it."""


class Stack:
    """A broker and a PostgreSQL server with their state in ``data_dir/dev``, shared by all commands run there.

    Args:
        data_dir: made when it is not there.
        cache: where the jars of Kafka are kept; see :class:`streams.devstack.kafka.KafkaServer`.
        environment: where ``PATH``, ``JAVA_HOME`` and ``XDG_CACHE_HOME`` are looked up.
        kafka_settings: more broker settings.
        fsync: of PostgreSQL.
    """

    def __init__(
        self,
        data_dir: Path = DATA_DIR,
        *,
        cache: Path | None = None,
        environment: Mapping[str, str] = os.environ,
        kafka_settings: Mapping[str, str] | None = None,
        fsync: bool = True,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.directory = self.data_dir / "dev"
        self.environment_path = self.directory / "environment"
        self._state_path = self.directory / "state.json"
        self._cache = cache
        self._environment = environment
        self._kafka_settings = kafka_settings
        self._fsync = fsync

    @property
    def kafka(self) -> KafkaServer:
        """The broker as the state knows it.

        Raises:
            StackFailed: it was never started.
        """
        return self._kafka_of(self._read().kafka or self._never_started("Kafka"))

    @property
    def postgres(self) -> PostgresServer:
        """The PostgreSQL server as the state knows it.

        Raises:
            StackFailed: it was never started.
        """
        return self._postgres_of(self._read().postgres or self._never_started("PostgreSQL"))

    def up(self, progress: Progress = lambda _: None) -> StackStatus:
        """Start what does not run, on the data that is there, and leave alone what runs.

        Raises:
            PrerequisiteMissing: something is not installed; nothing was started then.
            StackFailed: a server does not start; `down` stops the other one.
        """
        with locked(self.directory / "lock", progress):
            find_java(self._environment)
            version = postgres_version()
            self._kafka_up(progress)
            self._postgres_up(version, progress)
            self._write_environment()
        return self.status()

    def down(self, progress: Progress = lambda _: None, *, erase: bool = False) -> StackStatus:
        """Stop what runs and was started here; data and ports are kept for the next :meth:`up`.

        Args:
            progress: told about each step.
            erase: remove the data, the key and the state too.

        Raises:
            StackFailed: a server does not end.
        """
        with locked(self.directory / "lock", progress):
            state = self._read()
            if state.kafka is not None:
                _stop("Kafka", self._kafka_of(state.kafka), progress)
                self._record(kafka=state.kafka.stopped())
            if state.postgres is not None:
                _stop("PostgreSQL", self._postgres_of(state.postgres), progress)
                self._record(postgres=state.postgres.stopped())
            if erase:
                self._erase()
                progress(f"Removed the data in {self.directory}")
        return self.status()

    def status(self) -> StackStatus:
        """The stack as it is now; nothing is started, stopped or written."""
        state = read_state(self._state_path)
        if state is None:
            return StackStatus(self.directory, None, None, None)
        kafka = self._kafka_of(state.kafka) if state.kafka else None
        postgres = self._postgres_of(state.postgres) if state.postgres else None
        return StackStatus(
            self.directory, state.created_at, part_status(kafka, state.kafka), part_status(postgres, state.postgres)
        )

    def environment(self) -> dict[str, str]:
        """The settings with which the commands of the service find this stack; the key among them is a secret."""
        return {
            "TENANT_CONNECT_KAFKA": self.kafka.bootstrap,
            "TENANT_CONNECT_ENCRYPTION_KEYS": json.dumps({KEY_ID: self._encryption_key()}),
            "TENANT_CONNECT_DATA_DIR": str(self.data_dir),
        }

    def _kafka_up(self, progress: Progress) -> None:
        part = self._read().kafka
        server = self._kafka_of(part)
        if _runs("Kafka", server, progress):
            return
        if part is not None and not (port_is_free(part.port) and port_is_free(part.controller_port)):
            progress(f"Port {part.port} or {part.controller_port} is taken by another program; choosing new ones")
            server = self._kafka_of(None)
        progress(f"Starting Kafka {KAFKA_VERSION}")
        server.start(progress, lambda: self._record(kafka=_kafka_state(server)))
        progress(f"Kafka answers at {server.address}")

    def _postgres_up(self, version: str, progress: Progress) -> None:
        part = self._read().postgres
        server = self._postgres_of(part)
        if _runs("PostgreSQL", server, progress):
            return
        if part is not None and not port_is_free(part.port):
            progress(f"Port {part.port} is taken by another program; choosing a new one")
            server = self._postgres_of(None)
        progress(f"Starting PostgreSQL {version}")
        server.start(lambda: self._record(postgres=_postgres_state(server, version)))
        progress(f"PostgreSQL answers at {server.address}")

    def _record(self, **parts: PartState) -> None:
        # At once, so that `down` finds the process even when this command is killed before it has started the rest.
        write_state(self._state_path, self._read().model_copy(update=parts))

    def _kafka_of(self, part: KafkaState | None) -> KafkaServer:
        return KafkaServer(
            self.directory / "kafka",
            port=part.port if part else None,
            controller_port=part.controller_port if part else None,
            cache=self._cache,
            settings=self._kafka_settings,
            environment=self._environment,
            process=part.process if part else None,
        )

    def _postgres_of(self, part: PartState | None) -> PostgresServer:
        return PostgresServer(
            self.directory / "postgres",
            port=part.port if part else None,
            fsync=self._fsync,
            process=part.process if part else None,
        )

    def _read(self) -> StackState:
        return read_state(self._state_path) or StackState()

    def _encryption_key(self) -> str:
        return ensure_secret(
            self.directory / "encryption-key", lambda: base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")
        )

    def _write_environment(self) -> None:
        lines = (f"export {name}={shlex.quote(value)}\n" for name, value in self.environment().items())
        write_secret(self.environment_path, "".join(lines))

    def _erase(self) -> None:
        for name in ("kafka", "postgres"):
            if (self.directory / name).exists():
                shutil.rmtree(self.directory / name)
        for path in (self.environment_path, self.directory / "encryption-key", self._state_path):
            path.unlink(missing_ok=True)

    def _never_started(self, name: str) -> NoReturn:
        raise StackFailed(f"{name} was never started in {self.directory}; start it with `tenant-connect dev up`")


@contextmanager
def ephemeral_stack(
    directory: Path,
    *,
    cache: Path | None = None,
    kafka_settings: Mapping[str, str] | None = None,
    progress: Progress = lambda _: None,
) -> Iterator[Stack]:
    """A stack in a directory of its own, for a test: up when the block begins, stopped when it ends, however it ends.

    Its PostgreSQL does without fsync, since nobody needs its data after a crash of the machine.
    """
    stack = Stack(directory, cache=cache, kafka_settings=kafka_settings, fsync=False)
    try:
        stack.up(progress)
        yield stack
    finally:
        stack.down(progress)


def _runs(name: str, server: KafkaServer | PostgresServer, progress: Progress) -> bool:
    if not server.running:
        return False
    if wait_until(server.answers, SILENCE_SECONDS):
        progress(f"{name} is already up at {server.address}")
        return True
    progress(f"{name} runs but does not answer; starting it again")
    server.stop()
    return False


def _stop(name: str, server: KafkaServer | PostgresServer, progress: Progress) -> None:
    if server.running:
        progress(f"Stopping {name}")
        server.stop()
    else:
        progress(f"{name} was not running")


def _kafka_state(server: KafkaServer) -> KafkaState:
    process = server.process
    return KafkaState(
        version=KAFKA_VERSION,
        port=server.port,
        controller_port=server.controller_port,
        pid=process.pid if process else None,
        birth=process.birth if process else None,
    )


def _postgres_state(server: PostgresServer, version: str) -> PartState:
    process = server.process
    return PartState(
        version=version,
        port=server.port,
        pid=process.pid if process else None,
        birth=process.birth if process else None,
    )
