"""What the installed command says to somebody who holds it wrong, and to somebody whose Kafka is not there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.acceptance.command import Shell


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(data_dir=str(tmp_path))


def test_without_arguments_the_help_is_shown(shell: Shell) -> None:
    result = shell.run()
    assert result.code == 0
    assert "Usage: tenant-connect COMMAND" in result.out


def test_wrong_use_ends_with_2_and_names_what_is_wrong(shell: Shell) -> None:
    result = shell.run("status", "t1", "--colour", "red")
    assert (result.code, result.out) == (2, "")
    assert "--colour" in result.err
    assert result.err.splitlines()[-1].startswith("→ ")


def test_an_unknown_variable_ends_with_2_and_is_named(tmp_path: Path) -> None:
    result = Shell(data_dir=str(tmp_path), kafak="127.0.0.1:1").run("topics", "check")
    assert result.code == 2
    assert "TENANT_CONNECT_KAFAK is unknown; did you mean TENANT_CONNECT_KAFKA?" in result.err


def test_a_kafka_that_does_not_answer_ends_with_3(shell: Shell) -> None:
    commands = (["topics", "check"], ["worker"], ["status", "t1"], ["list"], ["tenants", "list"], ["audit", "verify"])
    with ThreadPoolExecutor(len(commands)) as pool:
        results = list(pool.map(lambda command: shell.run(*command, "--kafka", "127.0.0.1:1"), commands))
    assert [result.code for result in results] == [3] * len(commands)
    for result in results:
        assert result.err.splitlines()[0].startswith("kafka_unreachable: ")
        assert "Traceback" not in result.err


def test_a_fresh_key_is_a_line_for_the_shell(shell: Shell) -> None:
    line = shell.run("settings", "--new-key").out
    assert line.startswith("export TENANT_CONNECT_ENCRYPTION_KEYS=")
    assert line != shell.run("settings", "--new-key").out
