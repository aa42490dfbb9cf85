"""Workers in processes of their own, which can be killed, frozen and thawed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.devstack.process import log_tail
from streams.settings import Settings
from streams.settings.description import variable_name

PROGRAM = "from streams.cli.main import main; main()"


class WorkerProcess:
    """One worker's process; what it logs is read from a file."""

    def __init__(self, environment: Mapping[str, str], directory: Path) -> None:
        directory.mkdir(parents=True)
        self._log = directory / "log"
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  our own program
                [sys.executable, "-c", PROGRAM, "worker"], env=environment, cwd=directory, stderr=output, stdout=output
            )

    def signal(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    @property
    def tail(self) -> str:
        """The end of what it logged, for whoever waited in vain."""
        return log_tail(self._log)

    @property
    def partitions(self) -> list[int]:
        """The partitions that it last said it owns."""
        said = [line["partitions"] for line in self.lines() if line.get("event") == "worker.ready"]
        return said[-1] if said else []

    def lines(self) -> list[dict[str, Any]]:
        """What it logged."""
        written = self._log.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in written if line.startswith("{") and line.endswith("}")]

    def kill(self) -> None:
        """End it at once, frozen or not."""
        self._process.kill()
        self._process.wait()


class Processes:
    """The workers of a test."""

    def __init__(self, settings: Settings, directory: Path) -> None:
        self._settings = settings
        self._directory = directory
        self._started: list[WorkerProcess] = []

    def start(self, name: str, **changed: Any) -> WorkerProcess:
        """Start a worker, with other settings where some are given; it is ready later."""
        given = self._settings.model_dump(mode="json", include=self._settings.model_fields_set) | changed
        keys = {number: key.get_secret_value() for number, key in self._settings.encryption_keys.items()}
        given |= {"encryption_keys": keys, "worker_name": name}
        variables = {variable_name(field): _written(value) for field, value in given.items()}
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **variables}
        process = WorkerProcess(environment, self._directory / name)
        self._started.append(process)
        return process

    def kill_all(self) -> None:
        for process in self._started:
            process.kill()


def _written(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict) else str(value)
