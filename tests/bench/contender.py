"""A measured process: started, watched from outside, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from streams.devstack.process import log_tail, wait_until
from tests.bench import milestones
from tests.bench.milestones import Milestone

ROOT: Final = Path(__file__).parents[2]
"""Where the packages of this project are."""

MILESTONE_TIMEOUT_S: Final = 60.0
"""How long a process may take to its next milestone."""

STOP_TIMEOUT_S: Final = 20.0
"""How long a process may take to end after SIGTERM."""


class ContenderFailed(Exception):
    """A measured process ended or stood still; the message ends with the tail of its output."""


class Contender:
    """One measured process, in a directory of its own.

    Args:
        module: what it runs.
        directory: where it runs; made when it is not there.
        arguments: its arguments, after the file of milestones.
        environment: variables beyond those of this process.
    """

    def __init__(
        self, module: str, directory: Path, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._milestones = directory / "milestones"
        self._output = directory / "output"
        self._command = [sys.executable, "-m", module, str(self._milestones), *arguments]
        self._directory = directory
        self._environment = {**os.environ, **(environment or {}), "PYTHONPATH": str(ROOT)}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603  a command put together here
                self._command, cwd=self._directory, env=self._environment, stdout=output, stderr=output
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)

    def check(self) -> None:
        """Return when the process runs.

        Raises:
            ContenderFailed: it does not.
        """
        assert self._process is not None
        if self._process.poll() is not None:
            raise self.failure("ended by itself")

    def failure(self, what: str) -> ContenderFailed:
        """The error that says so, with the end of the output."""
        return ContenderFailed(f"{self._command[2]} {what}. The end of its output:\n{log_tail(self._output)}")

    def reach(self, what: str) -> dict[str, Milestone]:
        """Wait for a milestone; gives all that there are.

        Raises:
            ContenderFailed: it did not come in `MILESTONE_TIMEOUT_S`.
        """
        found: dict[str, Milestone] = {}

        def reached() -> bool:
            self.check()
            found.update(milestones.read(self._milestones))
            return what in found

        if not wait_until(reached, MILESTONE_TIMEOUT_S):
            raise self.failure(f"did not come to be {what!r} in {MILESTONE_TIMEOUT_S:.0f} s")
        return found

    def cpu_seconds(self) -> float:
        """Processor time of the process so far; 0 where the system does not say (proc_pid_stat(5))."""
        assert self._process is not None
        path = Path(f"/proc/{self._process.pid}/stat")
        if not path.exists():
            return 0.0
        fields = path.read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
