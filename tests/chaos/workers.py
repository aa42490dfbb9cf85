"""The workers of a round, each a process of its own, and the one who starts again whatever ended."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from streams.devstack.process import log_tail
from streams.settings import Settings
from streams.settings.description import variable_name
from tests.chaos.endings import Endings
from tests.chaos.ownership import Claims, Holdings

ROOT: Final = Path(__file__).parents[2]
LOOK_INTERVAL_S: Final = 0.1

RESTART_PAUSE_S: Final = 0.5
"""How soon a worker that ended by itself is started again, as whatever looks after services does."""

TERM_SECONDS: Final = 15.0
"""How long a worker may take to end when asked."""


class Worker:
    """One place for a worker: the process that runs there now, and its log over all of them.

    Attributes:
        name: the worker's.
        watched: whether it is started again when it ends by itself.
        frozen: whether it stands still.
        ended: how its processes ended by themselves, by exit code.
        endings: the same and how they ended when asked, each with what it said.
    """

    def __init__(self, name: str, environment: dict[str, str], directory: Path) -> None:
        directory.mkdir(parents=True)
        self.name = name
        self.watched = False
        self.frozen = False
        self.ended = Counter[int]()
        self.log_path = directory / "log"
        self.endings = Endings(name, self.log_path)
        self._environment = environment
        self._directory = directory
        self._words: Sequence[str] = ()
        self._process: subprocess.Popen[bytes] | None = None
        self._read_to = 0
        self._holdings = Holdings()

    @property
    def pid(self) -> int | None:
        """The process id, None where none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def exit_code(self) -> int | None:
        """How the last process ended, None where it runs or none ran."""
        return None if self._process is None else self._process.poll()

    @property
    def tail(self) -> str:
        """The end of its log."""
        return log_tail(self.log_path)

    @property
    def held(self) -> dict[int, int]:
        """The partitions that the process which runs now says it holds, each with the offset of its claim."""
        if self.pid is None:
            return {}
        with self.log_path.open("rb") as log:
            log.seek(self._read_to)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read_to += len(whole) + len(newline)
        for line in whole.splitlines():
            self._holdings.read(line)
        return self._holdings.held

    def start(self, *words: str, watched: bool = True) -> None:
        """Start it, with the words of `tests.chaos.worker`; the same again whenever it ends by itself."""
        self._words = words
        self.watched = watched
        self.frozen = False
        with self.log_path.open("ab") as log:
            self._read_to = log.tell()
            self.endings.begin(words, self._read_to)
            self._holdings = Holdings()
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-m", "tests.chaos.worker", *words],
                env=self._environment,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """End it at once, frozen or not, and let it be."""
        self.watched = False
        if self._process is not None:
            self.endings.kill(self.exit_code)
            self._process.kill()
            self._process.wait()

    def freeze(self) -> None:
        """It stands still."""
        self.frozen = True
        self._signal(signal.SIGSTOP)

    async def freeze_deciding(self, seconds: float) -> None:
        """It stands still as soon as it has decided something that it has not sent; at once where that takes long."""
        self.frozen = True
        self._signal(signal.SIGUSR1)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._stopped:  # noqa: ASYNC110  a process tells nobody
                    await asyncio.sleep(LOOK_INTERVAL_S / 10)
        self.freeze()

    @property
    def _stopped(self) -> bool:
        """Source: proc_pid_stat(5)."""
        return self.pid is None or Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].startswith("T")

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)
        self.frozen = False

    async def stop(self) -> int:
        """Ask it to end; gives the exit code.

        Raises:
            TimeoutError: it did not.
        """
        self.watched = False
        asked = self.pid is not None
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(TERM_SECONDS):
                while self.pid is not None:  # noqa: ASYNC110  a process tells nobody
                    await asyncio.sleep(LOOK_INTERVAL_S)
        finally:
            self.endings.note(self.exit_code, asked=asked)
        return self.exit_code or 0

    async def died(self, before: int, seconds: float) -> None:
        """Return when it has ended by itself once more than ``before`` times.

        Raises:
            TimeoutError: it did not.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.ended.total() <= before:  # noqa: ASYNC110  a process tells nobody
                    await asyncio.sleep(LOOK_INTERVAL_S)
        except TimeoutError:
            raise TimeoutError(f"{self.name} did not end by itself in {seconds:.0f} s:\n{self.tail}") from None

    async def look_after(self) -> None:
        """Start it again whenever it ended by itself."""
        while True:
            code = self.exit_code
            if self.watched and code is not None:
                self.ended[code] += 1
                self.endings.note(code)
                await asyncio.sleep(RESTART_PAUSE_S)
                if self.watched:
                    # A point to die at was reached, if there was one.
                    self.start(*_without_death(self._words))
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _signal(self, number: signal.Signals) -> None:
        if self.pid is not None:
            os.kill(self.pid, number)


def _without_death(words: Sequence[str]) -> list[str]:
    if "--die-at" not in words:
        return list(words)
    place = words.index("--die-at")
    return [*words[:place], *words[place + 2 :]]


class Crew:
    """All workers of a region.

    Args:
        settings: the region's.
        directory: for what they write.
        claims: what the log says of who owns what.
    """

    def __init__(self, settings: Settings, directory: Path, claims: Claims) -> None:
        self._settings = settings
        self._claims = claims
        self._directory = directory
        self.workers: list[Worker] = []
        self._looking: list[asyncio.Task[None]] = []

    def hire(self, *words: str, **changed: Any) -> Worker:
        """One worker more, with other settings where some are given; it is ready later."""
        name = f"w{len(self.workers) + 1}"
        given = self._settings.model_dump(mode="json", include=self._settings.model_fields_set)
        keys = {number: key.get_secret_value() for number, key in self._settings.encryption_keys.items()}
        directory = self._directory / name
        given |= {"encryption_keys": keys, "worker_name": name, "data_dir": str(directory / "data"), **changed}
        variables = {variable_name(field): _written(value) for field, value in given.items()}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
        worker = Worker(name, environment, directory)
        self.workers.append(worker)
        worker.start(*words)
        self._looking.append(asyncio.create_task(worker.look_after()))
        return worker

    @property
    def owned(self) -> set[int]:
        """Partitions that somebody owns."""
        return {number for worker in self.workers for number in self.owned_by(worker)}

    def owned_by(self, worker: Worker) -> list[int]:
        """The partitions that a worker owns: its process holds them, and no newer claim counts."""
        return self._claims.owned(worker.held)

    async def shared(self, seconds: float) -> None:
        """Return when every worker that is to run owns something.

        Raises:
            TimeoutError: that took too long; the message has the ends of the logs of those that own nothing.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._idle():  # noqa: ASYNC110  processes tell nobody
                    await asyncio.sleep(LOOK_INTERVAL_S)
        except TimeoutError:
            tails = "\n".join(f"{worker.name}: {worker.tail}" for worker in self._idle())
            raise TimeoutError(f"not every worker owns something after {seconds:.0f} s:\n{tails}") from None

    async def lost(self, worker: Worker, seconds: float) -> None:
        """Return when a worker owns nothing.

        Raises:
            TimeoutError: it still does.
        """
        try:
            async with asyncio.timeout(seconds):
                while self.owned_by(worker):  # noqa: ASYNC110  as above
                    await asyncio.sleep(LOOK_INTERVAL_S)
        except TimeoutError:
            raise TimeoutError(f"{worker.name} still owns {self.owned_by(worker)} after {seconds:.0f} s") from None

    def _idle(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.watched and not self.owned_by(worker)]

    async def all_owned(self, seconds: float) -> None:
        """Return when all partitions are owned by somebody.

        Raises:
            TimeoutError: that took too long; the message has the ends of the workers' logs.
        """
        try:
            async with asyncio.timeout(seconds):
                while len(self.owned) < self._settings.partitions:  # noqa: ASYNC110  processes tell nobody
                    await asyncio.sleep(LOOK_INTERVAL_S)
        except TimeoutError:
            tails = "\n".join(f"{worker.name}: {worker.tail}" for worker in self.workers)
            raise TimeoutError(f"not all partitions are owned after {seconds:.0f} s:\n{tails}") from None

    def owner(self, chance: float) -> Worker:
        """One of those that own something, by chance (0 to 1); any where nobody does, which the fault will tell."""
        found = [worker for worker in self.workers if not worker.frozen and self.owned_by(worker)]
        found = found or self.workers
        return found[int(chance * len(found))]

    async def stop(self) -> None:
        """Ask all to end; whoever does not is killed, and noted among the endings."""
        for worker in self.workers:
            worker.thaw()
        await asyncio.gather(*(worker.stop() for worker in self.workers), return_exceptions=True)
        self.kill()

    def kill(self) -> None:
        """End all at once."""
        for task in self._looking:
            task.cancel()
        for worker in self.workers:
            worker.kill()


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
