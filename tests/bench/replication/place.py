"""A tenant on a server of the measurement's own, whose rows are streamed in this process."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from statemachine.state import ReplicationMode
from streams.catalog.entry import Database, Limits
from streams.devstack.postgres import PostgresServer
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


class Delivery(NamedTuple):
    """What streams send with."""

    broadcaster: Broadcaster
    positions: Positions


async def tenant_on(server: PostgresServer, name: str = NAME) -> Database:
    """Make a tenant's database."""
    administrator = await server.superuser_connection()
    try:
        await administrator.execute(f"create database {name}")
    finally:
        await administrator.close()
    whole = {"host": server.host, "port": server.port, "name": name, "user": server.user, "tls": "disable"}
    database = Database.model_validate({**whole, "password": server.password})
    await provision(database, dt.datetime.now(dt.UTC).date(), SessionLimits())
    return database


@asynccontextmanager
async def streaming(settings: Settings, database: Database, counter: Counter) -> AsyncIterator[Stream]:
    """The tenant's rows are streamed for as long as it is entered."""
    async with delivering(settings) as delivery, streamed(TENANT, database, counter, delivery) as stream:
        yield stream


@asynccontextmanager
async def delivering(settings: Settings) -> AsyncIterator[Delivery]:
    """What all tenants' streams send with; every partition is this process's."""
    delivery = Delivery(Broadcaster(settings), Positions(settings))
    try:
        for partition in range(settings.partitions):
            await delivery.positions.fence(partition, CLAIM)
        yield delivery
    finally:
        await delivery.broadcaster.close()
        await delivery.positions.close()


@asynccontextmanager
async def streamed(tenant: str, database: Database, counter: Counter, delivery: Delivery) -> AsyncIterator[Stream]:
    """A tenant's rows are streamed for as long as it is entered."""
    connection = await TenantConnection.open(database, tenant=tenant, claim=CLAIM)
    try:
        order = StreamOrder(
            tenant=tenant,
            claim=CLAIM,
            database=database,
            limits=UNLIMITED,
            mode=ReplicationMode.TEMPORARY,
            borrow=connection.session,
            broadcaster=delivery.broadcaster,
            positions=delivery.positions,
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
