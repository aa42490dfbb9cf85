"""Child processes of the local stack: started apart from the terminal, known again by their birth, ended in time."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.errors import StackFailed

POLL_SECONDS = 0.02
"""Pause between two looks at a condition."""

KILL_DEADLINE_SECONDS = 10.0
"""How long a process may take to vanish after SIGKILL."""

LOG_TAIL_BYTES = 4096
"""How much of the end of a log goes into an error message."""

LOG_LIMIT_BYTES = 10 * 1024 * 1024
"""A log longer than this is set aside, in place of the one set aside before, when its process starts again."""

PORTS = range(20_000, 30_000)
"""Where free ports are looked for: below what systems hand out to outgoing connections, so that none of those can sit
on a port between two runs of a server."""

PORT_ATTEMPTS = 200
"""How many ports are tried before giving up."""


@dataclass(frozen=True, slots=True)
class Process:
    """A running process, told apart from a later one with the same pid by the moment it was born.

    Attributes:
        pid: process id.
        birth: when the kernel started it, in the words of this machine; see :func:`birth_of`.
    """

    pid: int
    birth: str

    @property
    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        child = _children.get(self)
        if child is None:
            return birth_of(self.pid) == self.birth
        if child.poll() is None:
            return True
        del _children[self]
        return False

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone or its pid belongs to another one now."""
        if not self.alive:
            return
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return

    def await_end(self, deadline_seconds: float) -> bool:
        """Wait for the process to end and say whether it did."""
        return wait_until(lambda: not self.alive, deadline_seconds)

    def end(self, number: signal.Signals, deadline_seconds: float) -> None:
        """Send ``number``; if the process is still there after ``deadline_seconds``, SIGKILL.

        Raises:
            StackFailed: not even SIGKILL ended it.
        """
        self.send(number)
        if self.await_end(deadline_seconds):
            return
        self.send(signal.SIGKILL)
        if not self.await_end(KILL_DEADLINE_SECONDS):
            raise StackFailed(
                f"process {self.pid} does not end, not even after SIGKILL; look at it with `ps {self.pid}`"
            )


# Held until they have ended: only the program that started a process can collect it, whichever object asks for its end.
_children: dict[Process, subprocess.Popen[bytes]] = {}


def launch(command: Sequence[str], directory: Path, log_path: Path) -> Process:
    """Start a program in a session of its own, so that a Ctrl-C in the terminal does not reach it before its turn.

    Args:
        command: the program and its arguments.
        directory: where it runs.
        log_path: receives its output, appended.

    Raises:
        StackFailed: it cannot be started, or ended at once.
    """
    _set_aside(log_path)
    with log_path.open("ab") as log:
        try:
            child = subprocess.Popen(  # noqa: S603 - every command is put together in this package
                command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        except OSError as error:
            raise StackFailed(f"{command[0]} cannot be started: {error}") from error
    birth = birth_of(child.pid)
    if birth is None:
        child.wait(KILL_DEADLINE_SECONDS)
        raise StackFailed(f"{command[0]} ended at once. The end of {log_path}:\n{log_tail(log_path)}")
    process = Process(child.pid, birth)
    _children[process] = child
    return process


def birth_of(pid: int) -> str | None:
    """The birth of the process that has this pid now; None when there is none, or only a zombie.

    On Linux: id of the boot and field 22 of ``/proc/PID/stat`` (clock ticks since boot, proc_pid_stat(5)).
    Elsewhere: what ``ps -o lstart`` says.
    """
    if not Path("/proc/self/stat").exists():
        return _birth_by_ps(pid)
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the program's name in parentheses and may hold anything, parentheses and blanks too.
    fields = text.rpartition(")")[2].split()
    state, threads, ticks = fields[0], int(fields[17]), fields[19]
    # A process whose first thread has ended looks like a zombie while the others still end.
    if state in "ZX" and threads <= 1:
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot}/{ticks}"


def wait_until(condition: Callable[[], bool], deadline_seconds: float) -> bool:
    """Look at a condition until it is true; say whether it became so within the deadline."""
    end = time.monotonic() + deadline_seconds
    while not condition():
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A port of 127.0.0.1 that nobody listens on, and that is not in ``taken``.

    Raises:
        StackFailed: none was found in :data:`PORT_ATTEMPTS` tries.
    """
    for port in random.sample(PORTS, PORT_ATTEMPTS):
        if port not in taken and port_is_free(port):
            return port
    raise StackFailed(f"no free port was found between {PORTS.start} and {PORTS.stop} on 127.0.0.1")


def port_is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: what is left of ended connections does not count as in use.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def port_answers(port: int) -> bool:
    """Whether something accepts connections on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def log_tail(*paths: Path) -> str:
    """The last :data:`LOG_TAIL_BYTES` of each log that exists."""
    parts = []
    for path in paths:
        if path.exists():
            with path.open("rb") as log:
                log.seek(max(0, path.stat().st_size - LOG_TAIL_BYTES))
                parts.append(log.read().decode(errors="replace").strip())
    return "\n".join(part for part in parts if part) or "(empty)"


def _set_aside(log_path: Path) -> None:
    if log_path.exists() and log_path.stat().st_size > LOG_LIMIT_BYTES:
        log_path.replace(log_path.with_suffix(log_path.suffix + ".1"))


def _birth_by_ps(pid: int) -> str | None:
    answer = subprocess.run(  # noqa: S603 - a fixed program and a number
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
