"""The workers of the demonstration: the installed command, in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from streams.devstack.process import free_port, log_tail
from streams.errors import StackFailed

SESSION_TIMEOUT_MS: Final = 6_000
"""How long Kafka waits for a silent worker; brokers permit no less unless told to."""

STOP_SECONDS: Final = 20.0
"""How long a worker may take to end after SIGTERM."""

KILL_SECONDS: Final = 5.0
"""How long a worker may take to vanish after SIGKILL."""


class WorkerProcess:
    """A worker that runs by itself.

    Attributes:
        name: in claims, replies and logs.
        log_path: its log, one JSON object a line.

    Args:
        name: in claims, replies and logs.
        directory: of the demonstration.
        environment: all its settings but its own; a key among them stays out of the process list.
    """

    def __init__(self, name: str, directory: Path, environment: Mapping[str, str]) -> None:
        self.name = name
        self.log_path = directory / f"{name}.log"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the command of this installation
                [
                    *installed_command(),
                    "worker",
                    *("--worker-name", name),
                    *("--data-dir", str(directory / name)),
                    *("--http-port", str(free_port())),
                    *("--session-timeout-ms", str(SESSION_TIMEOUT_MS)),
                ],
                env=dict(environment),
                # What a worker leaves where it was started goes with the rest.
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # So that a Ctrl-C in the terminal does not reach it before its turn.
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions it owns, by its log.

        Raises:
            StackFailed: it has ended; the message ends with the tail of its log.
        """
        if self._process.poll() is not None:
            raise StackFailed(
                f"{self.name} ended with exit code {self._process.returncode}. The end of {self.log_path}:\n"
                f"{log_tail(self.log_path)}"
            )
        return _partitions(self.log_path)

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait(KILL_SECONDS)

    def stop(self) -> int:
        """Ask it to stop, and give its exit code.

        Raises:
            StackFailed: it does not end; it is killed then.
        """
        self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise StackFailed(f"{self.name} did not end within {STOP_SECONDS:.0f} s; see {self.log_path}") from None

    def end(self) -> None:
        """End it somehow, if it still runs."""
        if self._process.poll() is None:
            self.kill()


def installed_command() -> list[str]:
    """``tenant-connect`` as it is installed beside this Python, or the module where there are no scripts."""
    script = Path(sysconfig.get_path("scripts")) / "tenant-connect"
    return [str(script)] if script.exists() else [sys.executable, "-m", "streams.cli.main"]


def _partitions(log_path: Path) -> tuple[int, ...]:
    owned: tuple[int, ...] = ()
    for line in log_path.read_text(encoding="utf-8", errors="replace").splitlines():
        if '"worker.ready"' in line:
            owned = tuple(json.loads(line)["partitions"])
    return owned
