"""A recovery that Kafka does not let get on: the worker ends and says where it stood."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Final

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.settings import Settings
from streams.settings.description import variable_name
from tests.integration.snapshots import stalling
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S

pytestmark = pytest.mark.kafka

SHORT: Final = {"recovery_stall_ms": 1_500, "drain_timeout_ms": 2_000, "snapshot_interval_ms": 0}


@pytest.fixture
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker of this test's own, which it may freeze."""
    server = KafkaServer(tmp_path_factory.mktemp("broker"))
    server.start()
    yield server
    assert server.process is not None
    server.process.send(signal.SIGCONT)
    server.stop()


def _environment(settings: Settings) -> dict[str, str]:
    given = settings.model_dump(mode="json", include=settings.model_fields_set - {"encryption_keys"})
    variables = {variable_name(field): str(value) for field, value in given.items()}
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}


async def test_a_recovery_that_stands_still_ends_the_worker_with_its_position(broker: KafkaServer) -> None:
    settings = fresh_region(broker, "stall", partitions=2, **SHORT)
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        stalling.__name__,
        "worker",
        env=_environment(settings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert worker.stdout is not None
    assert broker.process is not None
    async with asyncio.timeout(DEADLINE_S):
        while (line := await worker.stdout.readline()) != b"claimed\n":
            assert line
        broker.process.send(signal.SIGSTOP)
        output, _ = await worker.communicate(b"go on\n")
    assert worker.returncode == 1
    assert b"recovery_stalled" in output
    assert b"nothing moved for 2 s: partition 0 is at offset -1" in output
    assert b"partition 1 is at offset -1" in output
