"""Where rounds take place: one broker or three, a PostgreSQL server, and a network between that can go wrong."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.catalog.crypto import new_key
from streams.devstack.kafka.server import BACK_SOON, KafkaServer, new_cluster
from streams.devstack.postgres import PostgresServer
from streams.devstack.process import free_port
from streams.errors import PrerequisiteMissing
from streams.kafka.administration import apply
from streams.settings import Settings
from tests.chaos.gates import Gate, gate
from tests.chaos.mounts import small_disk
from tests.chaos.toxiproxy import Network, network

PARTITIONS: Final = 8
BROKERS: Final = 3

BROKER_MB: Final = 1_000
"""Megabytes of the only broker's disk, which is filled up."""

GREY: Final = "GREY"
"""Listener of the brokers that is reached by way of the network that can go wrong."""

GATED: Final = "GATED"
"""Listener of the only broker that is reached through the gate."""

KAFKA_PROXY: Final = "kafka"
DATABASE_PROXY: Final = "database"

SHORT: Final[dict[str, Any]] = {
    "partitions": PARTITIONS,
    "session_timeout_ms": 4_000,
    "heartbeat_interval_ms": 300,
    "connect_failures_window_ms": 2_000,
    "users_check_interval_ms": 500,
    "replication_backoff_min_ms": 200,
    "replication_backoff_max_ms": 1_000,
    "replication_position_interval_ms": 500,
    "replication_watchdog_interval_ms": 1_000,
    "replication_watchdog_timeout_ms": 10_000,
    "database_connect_timeout_ms": 3_000,
    "database_backoff_min_ms": 100,
    "database_backoff_max_ms": 500,
    "snapshot_interval_ms": 1_000,
}
"""Settings of a region in which everything happens sooner."""

SERVER: Final = {
    "max_connections": "300",
    "wal_sender_timeout": "5s",
    "max_slot_wal_keep_size": "64MB",
    "shared_buffers": "128MB",
    "max_locks_per_transaction": "128",
}

ALWAYS: Final = {**BACK_SOON, "group.min.session.timeout.ms": "1000"}


class Brokers:
    """The brokers of a place, as one."""

    def __init__(self, servers: Sequence[KafkaServer]) -> None:
        self.servers = servers

    @property
    def bootstrap(self) -> str:
        """Where clients begin."""
        return ",".join(server.bootstrap for server in self.servers)

    async def start(self) -> None:
        """Start those that do not run, at once: no single one answers before most of them are there."""
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in self.servers))

    async def kill(self, number: int = 0) -> None:
        """One crashes."""
        await asyncio.to_thread(self.servers[number].kill)

    async def stop(self) -> None:
        """All stop, in good order or not."""
        for server in self.servers:
            await asyncio.to_thread(server.kill if len(self.servers) > 1 else server.stop)

    def freeze(self, number: int = 0) -> None:
        """One stands still."""
        _signal(self.servers[number].pid, signal.SIGSTOP)

    def thaw(self, number: int = 0) -> None:
        """It goes on."""
        _signal(self.servers[number].pid, signal.SIGCONT)


def _signal(pid: int | None, number: signal.Signals) -> None:
    if pid is not None:
        os.kill(pid, number)


@dataclass(slots=True)
class Place:
    """A place for rounds.

    Attributes:
        directory: for what workers and brokers write.
        broker_disk: the only broker's own small disk; None where there are several, or nobody may mount one.
        brokers: Kafka.
        server: where the tenants' databases are.
        network: None where there is none that can go wrong.
        grey: bootstrap servers for a worker that reaches Kafka by way of it.
        gate: a way to the only broker on which fetches can be held; None where there are several brokers.
        database_port: where tenants' databases are said to be.
    """

    directory: Path
    broker_disk: Path | None
    brokers: Brokers
    server: PostgresServer
    network: Network | None
    grey: str | None
    gate: Gate | None
    database_port: int

    def region(self, name: str) -> Settings:
        """Settings of a region of its own, with its topics."""
        settings = Settings.model_validate(
            {
                **SHORT,
                "kafka": self.brokers.bootstrap,
                "replication_factor": len(self.brokers.servers),
                "topic_prefix": f"{name}-{secrets.token_hex(4)}",
                "http_port": -1,
                "encryption_keys": {"k1": new_key()},
            }
        )
        apply(settings)
        return settings


@asynccontextmanager
async def place(directory: Path, *, brokers: int = 1, proxied: bool = True) -> AsyncIterator[Place]:
    """A place for as long as it is entered.

    Args:
        directory: for everything that is written.
        brokers: how many.
        proxied: whether there is a network that can go wrong, if the machine can build one.
    """
    async with AsyncExitStack() as stack:
        between = await _network(directory, stack) if proxied else None
        server = PostgresServer(directory / "postgres", fsync=False, settings=SERVER)
        grey, listening, database = free_port(), free_port(), free_port()
        way = await stack.enter_async_context(gate(free_port(), free_port())) if brokers == 1 else None
        disk = (
            await stack.enter_async_context(small_disk(directory / "kafka" / "data", BROKER_MB))
            if brokers == 1
            else None
        )
        kafka = Brokers(
            _single(directory, {GREY: (listening, grey), GATED: (way.upstream, way.port)})
            if way
            else _cluster(directory, brokers)
        )
        stack.push_async_callback(kafka.stop)
        stack.callback(server.kill)
        await asyncio.gather(kafka.start(), asyncio.to_thread(server.start))
        if between is None:
            yield Place(directory, disk, kafka, server, None, None, way, server.port)
            return
        await between.proxy(DATABASE_PROXY, database, server.port)
        if brokers == 1:
            await between.proxy(KAFKA_PROXY, grey, listening)
        behind = f"127.0.0.1:{grey}" if brokers == 1 else None
        yield Place(directory, disk, kafka, server, between, behind, way, database)


async def _network(directory: Path, stack: AsyncExitStack) -> Network | None:
    try:
        return await stack.enter_async_context(network(directory / "network"))
    except PrerequisiteMissing:
        return None


def _single(directory: Path, ways: Mapping[str, tuple[int, int]]) -> list[KafkaServer]:
    """One broker; each way to it has a listener, a port of that, and one where clients are to connect."""
    port, controller = free_port(), free_port()
    listening = [f"{way}://127.0.0.1:{here}" for way, (here, _) in ways.items()]
    advertised = [f"{way}://127.0.0.1:{there}" for way, (_, there) in ways.items()]
    plain = [f"{way}:PLAINTEXT" for way in ("PLAINTEXT", "CONTROLLER", *ways)]
    settings = {
        **ALWAYS,
        "listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}", *listening, f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}", *advertised]),
        "listener.security.protocol.map": ",".join(plain),
    }
    return [KafkaServer(directory / "kafka", port=port, controller_port=controller, settings=settings)]


def _cluster(directory: Path, brokers: int) -> list[KafkaServer]:
    """Brokers that are controllers too, each partition on all of them, acknowledged by all but one."""
    controllers = [free_port() for _ in range(brokers)]
    voters = ",".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(controllers, 1))
    cluster = new_cluster()
    settings = {
        **ALWAYS,
        "controller.quorum.voters": voters,
        "offsets.topic.replication.factor": f"{brokers}",
        "min.insync.replicas": f"{brokers - 1}",
        "replica.lag.time.max.ms": "5000",
        "unclean.leader.election.enable": "false",
        "leader.imbalance.check.interval.seconds": "5",
    }
    return [
        KafkaServer(
            directory / f"kafka-{number}",
            controller_port=port,
            settings={**settings, "node.id": f"{number}"},
            cluster=cluster,
        )
        for number, port in enumerate(controllers, 1)
    ]
