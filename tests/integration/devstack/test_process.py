from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from streams.devstack.process import LOG_LIMIT_BYTES, Process, launch, log_tail, wait_until
from streams.errors import StackFailed

DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"


def test_a_child_is_out_of_reach_of_the_terminals_interrupt(bystander: Process) -> None:
    assert os.getsid(bystander.pid) == bystander.pid
    assert os.getpgid(bystander.pid) != os.getpgid(0)


def test_a_pid_with_another_birth_is_another_process(bystander: Process) -> None:
    namesake = Process(bystander.pid, f"{bystander.birth}0")

    namesake.end(signal.SIGKILL, 1.0)

    assert not namesake.alive
    assert bystander.alive


def test_a_process_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "deaf.log"
    process = launch([sys.executable, "-c", DEAF], tmp_path, log)
    assert wait_until(lambda: "deaf" in log_tail(log), 20.0)

    process.end(signal.SIGTERM, 0.1)

    assert not process.alive


def test_a_process_that_has_ended_by_itself_is_not_alive(tmp_path: Path) -> None:
    process = launch(["sleep", "0.05"], tmp_path, tmp_path / "log")

    assert process.await_end(20.0)
    process.send(signal.SIGTERM)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StackFailed, match="no-such-program cannot be started"):
        launch(["no-such-program"], tmp_path, tmp_path / "log")


def test_a_long_log_is_set_aside_when_its_process_starts_again(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_bytes(b"x" * (LOG_LIMIT_BYTES + 1))

    process = launch(["sleep", "300"], tmp_path, log)
    process.end(signal.SIGKILL, 10.0)

    assert log.stat().st_size == 0
    assert (tmp_path / "server.log.1").stat().st_size == LOG_LIMIT_BYTES + 1
