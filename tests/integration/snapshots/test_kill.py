"""Processes that are killed while they write snapshots: what is found afterwards is whole, and the newest there was."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest

from statemachine.commands import PauseTenant, ResumeTenant
from streams.client import ConnectClient
from streams.settings import Settings
from streams.snapshots.encoding import record_hash
from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store
from tests.integration.snapshots import writer
from tests.integration.snapshots.place import Place, everything, folding, owned
from tests.integration.worker.processes import Processes
from tests.support.region import working
from tests.support.waiting import DEADLINE_S, until

ROUNDS: Final = 30
WORKER_ROUNDS: Final = 4
SNAPSHOTS_MAX: Final = 3
"""Snapshots that a process may finish before it is killed, at most."""

TENANTS: Final = tuple(f"t{number}" for number in range(16))


def _killed(directory: Path, chance: random.Random) -> list[int]:
    """Let a process write and kill it at some moment; gives the offsets of the snapshots that it finished."""
    process = subprocess.Popen(  # noqa: S603  our own program
        [sys.executable, "-m", writer.__name__, str(directory)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    wanted = chance.randint(0, SNAPSHOTS_MAX)
    finished: list[int] = []
    assert process.stdout.readline() == "writing\n"
    while len(finished) < wanted:
        finished.append(int(process.stdout.readline()))
    try:
        process.wait(chance.random() * 0.03)
    except subprocess.TimeoutExpired:
        process.kill()
    finished += map(int, process.stdout.read().splitlines())
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    return finished


def test_snapshots_are_whole_however_often_their_writer_is_killed(tmp_path: Path) -> None:
    chance, newest = random.Random("kill"), -1
    for _ in range(ROUNDS):
        newest = max([newest, *_killed(tmp_path / "store", chance)])
        store = Store(tmp_path / "store")
        store.open()
        shelf = Shelf(store, writer.TOPIC)
        headings = [(heading.folded, place) for place in shelf.places(0) if (heading := shelf.heading(place))]
        assert headings or newest == -1
        for folded, place in headings:
            heading = shelf.heading(place)
            assert heading is not None
            reading = shelf.read(place, heading)
            while not reading.step():
                pass
            assert heading.last == record_hash(writer.record(folded))
            assert everything(reading.state()) == everything(writer.state_at(folded))
        found = max((folded for folded, _ in headings), default=-1)
        assert found >= newest
        newest = found
        store.close()
    assert newest > ROUNDS


@pytest.fixture
def processes(settings: Settings, tmp_path: Path) -> Iterator[Processes]:
    changed = {"snapshot_interval_ms": 1, "snapshot_events_max": 1}
    processes = Processes(Settings.model_validate({**_given(settings), **changed}), tmp_path / "processes")
    (tmp_path / "processes").mkdir()
    yield processes
    processes.kill_all()


def _given(settings: Settings) -> dict[str, object]:
    return {name: getattr(settings, name) for name in settings.model_fields_set}


class Callers:
    """Callers who pause and resume tenants, one command after another each.

    Attributes:
        answers: how many commands were answered.
        stop: set to end them.
    """

    def __init__(self) -> None:
        self.answers = 0
        self.stop = asyncio.Event()

    async def call(self, client: ConnectClient, tenant: str) -> None:
        for number in count():
            if self.stop.is_set():
                return
            command = ResumeTenant() if number % 2 else PauseTenant()
            reply = await client.send(tenant, command, timeout_s=DEADLINE_S, command_id=f"{tenant}-{number}")
            assert reply.outcome == "ok"
            self.answers += 1

    async def more(self, directory: Path) -> None:
        """Return when every caller was answered a few times, and something was written to a directory's disk."""
        answers, size = self.answers + 3 * len(TENANTS), _size(directory)
        await until(lambda: self.answers >= answers and _size(directory) != size)


def _size(directory: Path) -> int:
    """Bytes of the write-ahead logs under a directory."""
    return sum(path.stat().st_size for path in directory.glob("**/*.log"))


@pytest.mark.kafka
@pytest.mark.timeout(240)
async def test_a_worker_that_is_killed_again_and_again_goes_on_from_its_snapshots(
    place: Place, settings: Settings, processes: Processes, tmp_path: Path
) -> None:
    callers, lines = Callers(), []
    async with ConnectClient(settings) as client, asyncio.TaskGroup() as calling:
        for tenant in TENANTS:
            calling.create_task(callers.call(client, tenant))
        for round_number in range(WORKER_ROUNDS):
            process = processes.start("w1")
            await callers.more(settings.data_dir)
            if round_number == WORKER_ROUNDS - 1:
                callers.stop.set()
                break
            process.kill()
            lines += process.lines()
            (tmp_path / "processes" / "w1").rename(tmp_path / "processes" / f"round-{round_number}")
    process.kill()
    kept = {
        partition: offset for partition in range(settings.partitions) if (offset := place.kept(partition)) is not None
    }
    with folding() as folded:
        async with working(settings) as worker:
            found = await owned(worker)
    for partition, state in found.items():
        assert everything(state) == everything(place.folded(partition))
    assert kept
    assert {partition: folded[partition][0] for partition in kept} == {
        partition: offset + 1 for partition, offset in kept.items()
    }
    assert {line["event"] for line in lines} >= {"snapshot.loaded"}
    assert not {line["event"] for line in lines} & {"snapshot.discarded", "snapshots.failed", "snapshots.damaged"}
