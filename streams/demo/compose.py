"""The same servers in containers, for machines without Java or Maven."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams.catalog.crypto import new_key
from streams.devstack.tenant_database import Superuser
from streams.errors import PrerequisiteMissing, StackFailed

FILE: Final = Path(__file__).parents[2] / "docker-compose.kafka.yml"
"""The file of the containers, in the source tree."""

PROJECT: Final = "tenant-connect-demo"

UP_SECONDS: Final = 300.0
"""How long the containers may take to answer; images have to be fetched the first time."""

DOWN_SECONDS: Final = 60.0
"""How long the containers may take to end."""

ADDRESSES: Final = ("127.0.0.1:9092", "127.0.0.1", 5432)
"""Where the file publishes Kafka and PostgreSQL."""


@contextmanager
def compose_stack(docker: Path) -> Iterator[tuple[str, Superuser]]:
    """Kafka and PostgreSQL in containers, removed with their data when the block ends, however it ends.

    Raises:
        PrerequisiteMissing: this is no source tree, so there is no file of the containers.
        StackFailed: the containers do not start; the message has Docker's own words.
    """
    if not FILE.exists():
        raise PrerequisiteMissing(f"{FILE} is missing; run the demonstration from the source tree of tenant-connect")
    password = secrets.token_urlsafe(24)
    variables = {
        "POSTGRES_PASSWORD": password,
        # The file asks for it on behalf of its worker, which is not started here.
        "TENANT_CONNECT_ENCRYPTION_KEYS": json.dumps({"demo": new_key()}),
    }
    kafka, host, port = ADDRESSES
    try:
        _compose(docker, variables, UP_SECONDS, "up", "--detach", "--wait", "kafka", "postgres")
        yield kafka, Superuser(host, port, "postgres", password)
    finally:
        _compose(docker, variables, DOWN_SECONDS, "down", "--volumes")


def _compose(docker: Path, variables: dict[str, str], seconds: float, *arguments: str) -> None:
    command = [str(docker), "compose", "--project-name", PROJECT, "--file", str(FILE), *arguments]
    try:
        answer = subprocess.run(  # noqa: S603 - Docker, found on PATH, and arguments made here
            command, env={**os.environ, **variables}, capture_output=True, text=True, check=False, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        raise StackFailed(f"`docker compose {arguments[0]}` took more than {seconds:.0f} s") from None
    if answer.returncode != 0:
        raise StackFailed(f"`docker compose {arguments[0]}` failed:\n{answer.stderr.strip()}")
