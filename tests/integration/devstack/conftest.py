from __future__ import annotations

import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.devstack.kafka import default_cache, ensure_jars
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import Process, launch

WriteProgram = Callable[[str, str], Path]


@pytest.fixture(scope="session")
def cache() -> Path:
    """The jars of Kafka as every run on this machine uses them."""
    return ensure_jars(default_cache())


@pytest.fixture
def bystander(tmp_path: Path) -> Iterator[Process]:
    """A process that no stack has started."""
    process = launch(["sleep", "300"], tmp_path, tmp_path / "bystander.log")
    yield process
    process.end(signal.SIGKILL, 10.0)


@pytest.fixture
def write_program(tmp_path: Path) -> WriteProgram:
    """Writes a shell script that stands in for a program on PATH, and returns the directory it is in."""
    directory = tmp_path / "bin"

    def write(name: str, script: str) -> Path:
        directory.mkdir(exist_ok=True)
        path = directory / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return directory

    return write


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()
