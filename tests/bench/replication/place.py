"""A tenant on a server of the measurement's own, whose rows are streamed in this process."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from statemachine.state import ReplicationMode
from streams.catalog.entry import Database, Limits
from streams.devstack.postgres import PostgresServer
from streams.kafka.partitioner import partition_of
from streams.replication.broadcaster import Broadcaster
from streams.replication.order import StreamLimits, StreamOrder
from streams.replication.positions import Positions
from streams.replication.stream import Stream
from streams.settings import Settings
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits

TENANT = "t1"
NAME = "tenant"
CLAIM = 1
UNLIMITED = Limits(max_events_per_second=1_000_000_000)


@dataclass
class Counter:
    """An observer that counts, and keeps how long rows took from their commit to Kafka's acknowledgement."""

    rows: int = 0
    latencies_ms: list[float] = field(default_factory=list)

    def delivered(self, committed_latency_ms: float, _inserted_latency_ms: float, _payload_bytes: int) -> None:
        """A row is acknowledged."""
        self.rows += 1
        self.latencies_ms.append(committed_latency_ms)

    def dropped(self, code: str) -> None:
        """A row is missing, and the figures mean nothing.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError(f"a row was dropped: {code}")


async def tenant_on(server: PostgresServer) -> Database:
    """Make the tenant's database."""
    administrator = await server.superuser_connection()
    try:
        await administrator.execute(f"create database {NAME}")
    finally:
        await administrator.close()
    whole = {"host": server.host, "port": server.port, "name": NAME, "user": server.user, "tls": "disable"}
    database = Database.model_validate({**whole, "password": server.password})
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    return database


@asynccontextmanager
async def streaming(settings: Settings, database: Database, counter: Counter) -> AsyncIterator[Stream]:
    """The tenant's rows are streamed for as long as it is entered."""
    broadcaster, positions = Broadcaster(settings), Positions(settings)
    connection = await TenantConnection.open(database, tenant=TENANT, claim=CLAIM)
    try:
        await positions.fence(partition_of(TENANT, settings.partitions), CLAIM)
        order = StreamOrder(
            tenant=TENANT,
            claim=CLAIM,
            database=database,
            limits=UNLIMITED,
            mode=ReplicationMode.TEMPORARY,
            borrow=connection.session,
            broadcaster=broadcaster,
            positions=positions,
            streamed_until=None,
            started_claim=None,
            now=lambda: dt.datetime.now(dt.UTC),
            observer=counter,
        )
        stream = await Stream.open(order, StreamLimits())
        try:
            yield stream
        finally:
            await stream.close(planned=False)
    finally:
        await connection.close()
        await broadcaster.close()
        await positions.close()
