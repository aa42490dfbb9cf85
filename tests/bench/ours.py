"""The measured process of this service: its worker as it is, with a stopwatch on the registry."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from streams.log.reader import Record
from streams.registry.registry import Prove, Registry
from streams.service.worker import Worker
from streams.settings import Settings
from tests.bench.milestones import Milestones
from tests.bench.sampling import Sampler

COMMANDS: Final = "commands"
REBUILD: Final = "rebuild"


class Stopwatch:
    """Notes when the worker was assigned partitions and when it owned them; samples one of the two phases.

    Args:
        milestones: where the moments are noted.
        phase: what is sampled, `COMMANDS` or `REBUILD`; anything else for nothing.
        samples: where the samples go.
    """

    def __init__(self, milestones: Milestones, phase: str, samples: Path) -> None:
        self._milestones = milestones
        self._phase = phase
        self._samples = samples
        self._sampler = Sampler()

    def assigned(self) -> None:
        """The group gave this worker its partitions; nothing is claimed yet."""
        self._milestones.reached("assigned")
        if self._phase == REBUILD:
            self._sampler.start()

    def owned(self, records: int) -> None:
        """The log is folded, every partition is owned, and every tenant is looked after."""
        self._milestones.reached("owned", records)
        if self._phase == REBUILD:
            self._sampler.stop(self._samples)
        elif self._phase == COMMANDS:
            self._sampler.start()

    def stopping(self) -> None:
        """The process was asked to end."""
        self._sampler.stop(self._samples)


class TimedRegistry(Registry):
    """A registry with a stopwatch; it takes the place of ``registry``, which must not be used any more."""

    def __init__(self, registry: Registry, stopwatch: Stopwatch, milestones: Milestones) -> None:
        vars(self).update(vars(registry))
        self._stopwatch = stopwatch
        self._milestones = milestones
        self._records = 0
        self._folding = 0.0

    async def assign(self, partitions: Iterable[int], generation: int, standbys: Iterable[int] = ()) -> None:
        self._stopwatch.assigned()
        await super().assign(partitions, generation, standbys)

    def fold(self, partition: int, records: list[Record]) -> None:
        if not self._records:
            self._milestones.reached("reading")
        self._records += len(records)
        begun = time.perf_counter()
        super().fold(partition, records)
        self._folding += time.perf_counter() - begun

    async def recovered(self, prove: Prove) -> list[int]:
        self._milestones.reached("folded", round(self._folding * 1_000_000))
        lost = await super().recovered(prove)
        self._stopwatch.owned(self._records)
        return lost


class TimedWorker(Worker):
    """The worker, with a stopwatch on its registry."""

    def __init__(self, settings: Settings, stopwatch: Stopwatch, milestones: Milestones) -> None:
        self._stopwatch = stopwatch
        self._milestones = milestones
        super().__init__(settings)

    def _create_registry(self) -> Registry:
        return TimedRegistry(super()._create_registry(), self._stopwatch, self._milestones)


async def work(milestones: Milestones, stopwatch: Stopwatch) -> None:
    """Be a worker until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = TimedWorker(Settings.load(), stopwatch, milestones)
    running = asyncio.ensure_future(worker.run(stop))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    stopwatch.stopping()
    await running


def main() -> None:
    """Arguments: file of milestones, phase to sample, file of samples. Settings come from the environment."""
    milestones = Milestones(Path(sys.argv[1]))
    asyncio.run(work(milestones, Stopwatch(milestones, sys.argv[2], Path(sys.argv[3]))))


if __name__ == "__main__":
    main()
