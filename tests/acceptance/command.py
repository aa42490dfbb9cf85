"""The installed command, run as a user runs it: in a process of its own, with an environment of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from streams.demo.workers import installed_command
from streams.devstack.process import log_tail, wait_until

COMMAND_SECONDS = 60.0
WORKER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Standard output, read line by line as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def record(self) -> dict[str, Any]:
        """The only line of standard output."""
        (found,) = self.records
        return found


class Shell:
    """Runs commands with the same settings."""

    def __init__(self, **settings: str) -> None:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("TENANT_CONNECT_")}
        own = {f"TENANT_CONNECT_{name.upper()}": value for name, value in settings.items()}
        self.environment: Mapping[str, str] = {**outside, **own}

    def run(self, *arguments: str, stdin: str = "") -> Result:
        ended = subprocess.run(  # noqa: S603 - the installed command
            [*installed_command(), *arguments],
            env=dict(self.environment),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        return Result(ended.returncode, ended.stdout, ended.stderr)

    def read(self, *arguments: str) -> list[dict[str, Any]]:
        """What a command that is fine prints with ``--json``."""
        result = self.run(*arguments, "--json")
        assert result.code == 0, result
        return result.records


class RunningWorker:
    """`tenant-connect worker` for as long as the block lasts."""

    def __init__(self, shell: Shell, log_path: Path, *arguments: str) -> None:
        self.log_path = log_path
        with log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the installed command
                [*installed_command(), "worker", *arguments],
                env=dict(shell.environment),
                cwd=log_path.parent,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(COMMAND_SECONDS)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its log; what is no JSON is left out."""
        text = self.log_path.read_text()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def await_ready(self, partitions: int) -> None:
        def ready() -> bool:
            assert self._process.poll() is None, f"the worker ended:\n{log_tail(self.log_path)}"
            owned = [line["partitions"] for line in self.lines if line["event"] == "worker.ready"]
            return bool(owned) and len(owned[-1]) == partitions

        assert wait_until(ready, WORKER_SECONDS), log_tail(self.log_path)

    def await_end(self) -> int:
        return self._process.wait(WORKER_SECONDS)

    def ask_to_stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
