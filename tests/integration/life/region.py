"""A region that one worker serves, in a process of its own, for as long as tests look at its tenants."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streams.devstack.kafka.server import KafkaServer
from streams.devstack.process import free_port, wait_until
from streams.settings import Settings
from tests.integration.web.pages import Pages
from tests.integration.worker.processes import Processes, WorkerProcess
from tests.integration.worker.scene import Scene
from tests.support.region import fresh_region
from tests.support.waiting import DEADLINE_S


class Region:
    """A region's settings, its log, its worker, and what that serves over HTTP."""

    def __init__(self, settings: Settings, worker: WorkerProcess) -> None:
        self.settings = settings
        self.scene = Scene(settings)
        self.pages = Pages(settings)
        self.worker = worker

    def logged(self, event: str, tenant: str) -> list[dict[str, Any]]:
        """What the worker logged of a tenant."""
        return [line for line in self.worker.lines() if line.get("event") == event and line.get("tenant") == tenant]


@contextmanager
def begun(kafka: KafkaServer, name: str, directory: Path, **changed: Any) -> Iterator[Region]:
    """A region that begins with ``name`` and whose worker was started; in the end its log is judged."""
    settings = fresh_region(kafka, name, http_port=free_port(), session_timeout_ms=6_000, **changed)
    processes = Processes(settings, directory)
    try:
        region = Region(settings, processes.start("w1"))
        yield region
        region.scene.audit()
    finally:
        processes.kill_all()


def ready(worker: WorkerProcess, settings: Settings) -> None:
    """Return when the worker owns every partition."""
    owned = wait_until(lambda: len(worker.partitions) == settings.partitions, DEADLINE_S)
    assert owned, worker.tail
