"""Where the demonstration takes place: a broker and a PostgreSQL server, and what is left of them afterwards."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from streams.catalog.crypto import new_key
from streams.demo.compose import compose_stack
from streams.devstack.postgres import PostgresServer
from streams.devstack.prerequisites import find_docker
from streams.devstack.stack import ephemeral_stack
from streams.devstack.tenant_database import Superuser
from streams.errors import PrerequisiteMissing
from streams.settings import Settings
from streams.settings.description import field_name, variable_name

PARTITIONS: Final = 4
"""Partitions of the demonstration's topics: enough for two workers to share."""

FILE_SETTINGS: Final = ("kafka_security_ca", "kafka_security_certificate", "kafka_security_key")

HELD_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the demonstration needs.

    Attributes:
        directory: for logs, and for all data where servers were started for it.
        environment: of the workers; the encryption key in it is a secret.
        settings: the same, read.
        superuser: of the PostgreSQL server that holds the tenants' databases.
        shared_broker: whether the broker was there before, so that topics have to be removed from it.
    """

    directory: Path
    environment: Mapping[str, str]
    settings: Settings
    superuser: Superuser
    shared_broker: bool


@contextmanager
def surroundings(
    given: Settings, environ: Mapping[str, str], flags: Mapping[str, str], progress: Progress
) -> Iterator[Surroundings]:
    """Servers for the demonstration, stopped when the block ends, however it ends.

    What was written to disk is removed when it ends well, and kept for a look at it otherwise.

    Args:
        given: settings as the command got them.
        environ: the environment that they were read from.
        flags: the flags that they were read from.
        progress: told about each step.

    Raises:
        PrerequisiteMissing: there is neither Java nor Docker, nor was a broker named.
        StackFailed: a server does not start.
    """
    directory = _new_directory(given.data_dir.absolute() / "demo")
    try:
        with ExitStack() as held:
            held.enter_context(_signals_restored())
            kafka, superuser = _servers(held, given, directory, progress)
            environment = {**environ, **_variables(flags), **_variables(_own_settings(given, kafka, directory))}
            held.callback(_hold_signals)
            yield Surroundings(directory, environment, Settings.load(environment), superuser, _is_named(given))
    except Exception:
        if any(directory.rglob("*.log")):
            progress(f"Logs and data are kept in {directory}")
        else:
            _remove(directory)
        raise
    except BaseException:
        _remove(directory)
        raise
    _remove(directory)


def _remove(directory: Path) -> None:
    shutil.rmtree(directory)
    for above in (directory.parent, directory.parent.parent):
        # What was there before, or is in use by another demonstration, stays.
        if not any(above.iterdir()):
            above.rmdir()


def _own_settings(given: Settings, kafka: str, directory: Path) -> dict[str, str]:
    return {
        "kafka": kafka,
        "topic_prefix": f"{given.topic_prefix}-demo-{secrets.token_hex(3)}",
        "partitions": str(PARTITIONS),
        "encryption_keys": json.dumps({"demo": new_key()}),
        "data_dir": str(directory),
        **_files(given),
    }


def _files(given: Settings) -> dict[str, str]:
    # Workers are started in another directory, where a relative path would lead elsewhere.
    found = ((name, getattr(given, name)) for name in FILE_SETTINGS)
    return {name: str(path.absolute()) for name, path in found if path is not None}


def _variables(values: Mapping[str, str]) -> dict[str, str]:
    return {variable_name(field_name(name)): value for name, value in values.items()}


def _servers(held: ExitStack, given: Settings, directory: Path, progress: Progress) -> tuple[str, Superuser]:
    if _is_named(given):
        progress(f"Using the broker at {given.kafka}, under topic names of its own")
        server = PostgresServer(directory / "postgres", fsync=False)
        held.callback(server.stop)
        server.start()
        progress(f"PostgreSQL answers at {server.address}")
        return given.kafka, _superuser(server)
    try:
        stack = held.enter_context(ephemeral_stack(directory, progress=progress))
    except PrerequisiteMissing as missing:
        try:
            docker = find_docker()
        except PrerequisiteMissing:
            raise missing from None
        progress("Java or Maven is missing here, so Docker is used")
        return held.enter_context(compose_stack(docker.path))
    return stack.kafka.bootstrap, _superuser(stack.postgres)


def _is_named(given: Settings) -> bool:
    return given.origin("kafka") != "default"


def _superuser(server: PostgresServer) -> Superuser:
    return Superuser(server.host, server.port, server.user, server.password)


def _new_directory(parent: Path) -> Path:
    directory = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    directory.mkdir(parents=True)
    return directory


@contextmanager
def _signals_restored() -> Iterator[None]:
    """Entered first and left last: gives signals their meaning back that `_hold_signals` took from them."""
    before = {number: signal.getsignal(number) for number in HELD_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _hold_signals() -> None:
    """From now on signals do not interrupt: servers are being stopped, each within its bound."""
    for number in HELD_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
