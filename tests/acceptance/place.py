"""A region of its own on the shared broker, with databases on the shared PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streams.catalog.crypto import new_key
from streams.demo.evidence import Session, sessions
from streams.devstack.kafka.server import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.devstack.tenant_database import Superuser, create_tenant_database
from streams.kafka import administration
from streams.settings import Settings
from streams.topics import Topics
from tests.acceptance.command import Shell

PARTITIONS = 4


@dataclass(frozen=True)
class Place:
    """Where a module's tests take place.

    Attributes:
        shell: runs commands there.
        settings: the same settings, for looking at Kafka directly.
        directory: for files.
    """

    shell: Shell
    settings: Settings
    directory: Path

    @property
    def topics(self) -> Topics:
        return Topics(self.settings)

    def put(self, *entries: dict[str, Any]) -> None:
        lines = "\n".join(map(json.dumps, entries))
        result = self.shell.run("tenants", "put", "-", stdin=lines)
        assert result.code == 0, result


def make_place(kafka: KafkaServer, directory: Path) -> Place:
    """A place whose topics are made."""
    shell = Shell(
        kafka=kafka.bootstrap,
        topic_prefix=f"accept-{uuid.uuid4().hex[:8]}",
        partitions=str(PARTITIONS),
        encryption_keys=json.dumps({"k1": new_key()}),
        data_dir=str(directory / "data"),
        http_port=str(free_port()),
    )
    settings = Settings.load(shell.environment)
    administration.apply(settings)
    return Place(shell, settings, directory)


def make_tenant(postgres: PostgresServer, tenant: str) -> dict[str, Any]:
    """A catalog entry, with a database that is there."""
    superuser = superuser_of(postgres)
    database = asyncio.run(create_tenant_database(superuser, f"{tenant}_{uuid.uuid4().hex[:8]}"))
    return {"tenant": tenant, "region": "local", "database": database, "replication": {"mode": "off"}}


def held_sessions(postgres: PostgresServer, entries: Sequence[dict[str, Any]]) -> list[Session]:
    """The service's sessions in these tenants' databases."""
    names = [entry["database"]["name"] for entry in entries]
    return asyncio.run(sessions(superuser_of(postgres), names))


def superuser_of(postgres: PostgresServer) -> Superuser:
    return Superuser(postgres.host, postgres.port, postgres.user, postgres.password)
