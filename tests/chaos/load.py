"""The load of a round: clients that ask and remember what they were told, and applications that write rows."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from statemachine.commands import Command, Connect, PauseTenant, Reload, ResumeTenant, Shutdown, Status, Wait
from statemachine.errors import TenantConnectError
from streams.client import ConnectClient
from streams.devstack.postgres import PostgresServer
from streams.kafka.partitioner import partition_of
from streams.tenantdb.failure import DRIVER_ERRORS
from tests.chaos.evidence import Call, Evidence, Placed
from tests.chaos.tenants import Cast
from tests.integration.streaming.writing import INSERT

PROBE_INTERVAL_S: Final = 0.2
"""How often each partition is asked for a status: time without service is measured by this."""

PAUSE_S: Final = 3.0
"""How long a pause with an end lasts."""

ANSWER_S: Final = 25.0
"""How long a client waits for an answer, through most outages."""

CALLS_OUT_MAX: Final = 3_000
"""Calls that wait for their answers at once; no more are made then."""

PLACE: Final = "select pg_current_wal_insert_lsn()::text"
"""Where the WAL ends. Source: PostgreSQL, system administration functions, recovery information."""

WRITE_PAUSE_MAX_S: Final = 0.15
AWAY_S: Final = 0.2
REPEATED: Final = 0.05
"""Chance that another client sends the same command under the same id."""


class Load:
    """Everything that is asked and written in a round.

    Args:
        clients: those who ask.
        cast: of whom.
        server: where the databases are.
        evidence: where all of it is noted.
        rate: commands a second.
        chance: decides who asks what.
    """

    def __init__(
        self,
        clients: tuple[ConnectClient, ConnectClient],
        cast: Cast,
        server: PostgresServer,
        evidence: Evidence,
        rate: float,
        chance: random.Random,
    ) -> None:
        self._clients = clients
        self._cast = cast
        self._server = server
        self._evidence = evidence
        self._rate = rate
        self._chance = chance
        self._touched = tuple(tenant for tenant in cast.refused if tenant not in cast.sleepers)
        self._going = True
        self._calls: set[asyncio.Task[Any]] = set()

    async def run(self, partitions: int) -> None:
        """Ask and write until told to stop, and wait for what is on its way."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._command())
            for tenants in self._probed(partitions):
                tasks.create_task(self._probe(tenants))
            for tenant in self._cast.durable:
                tasks.create_task(self._write(tenant))
        while self._calls:
            await asyncio.wait(self._calls)

    @property
    def going(self) -> bool:
        """Whether anything new is asked and written."""
        return self._going

    def stop(self) -> None:
        """Nothing new is asked or written."""
        self._going = False

    async def ask(self, tenant: str, command: Command, *, timeout_s: float = ANSWER_S, client: int = 0) -> Call:
        """One call, noted."""
        return await self._ask(tenant, command, str(uuid.uuid4()), timeout_s, client)

    async def _ask(self, tenant: str, command: Command, id_: str, timeout_s: float, client: int) -> Call:
        call = Call(id_, tenant, command.type, time.time())
        self._evidence.calls.append(call)
        try:
            reply = await self._clients[client].send(tenant, command, timeout_s=timeout_s, command_id=id_)
            call.reply = msgspec.to_builtins(reply)
        except TenantConnectError as error:
            call.error = error.code
        call.ended = time.time()
        return call

    def _probed(self, partitions: int) -> list[list[str]]:
        """Tenants to ask, by partition."""
        found: defaultdict[int, list[str]] = defaultdict(list)
        for tenant in self._cast.everybody:
            found[partition_of(tenant, partitions)].append(tenant)
        return list(found.values())

    async def _probe(self, tenants: list[str]) -> None:
        while self._going:
            self._spawn(self._chance.choice(tenants), Status())
            await asyncio.sleep(PROBE_INTERVAL_S)

    async def _command(self) -> None:
        while self._going:
            tenant, command = self._drawn()
            self._spawn(tenant, command)
            await asyncio.sleep(self._chance.expovariate(self._rate))

    def _spawn(self, tenant: str, command: Command) -> None:
        if len(self._calls) >= CALLS_OUT_MAX:
            return
        id_, senders = str(uuid.uuid4()), [0]
        if self._chance.random() < REPEATED:
            senders.append(1)
        for sender in senders:
            call = asyncio.ensure_future(self._ask(tenant, command, id_, ANSWER_S, sender))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    def _drawn(self) -> tuple[str, Command]:
        chance = self._chance
        restless = [tenant for tenant in self._cast.real if tenant not in self._cast.steady]
        if restless and chance.random() < 0.05:
            return chance.choice(restless), chance.choice((Connect(), Connect(), Shutdown(), Reload()))
        if chance.random() < 0.1 and self._cast.real:
            tenant, command = chance.choice(self._cast.real), chance.choice((Status(), Connect()))
            # Whether those whom nobody asks to stop come back by themselves is seen where nobody asks them to.
            return tenant, Status() if tenant in self._cast.steady else command
        tenant = chance.choice(self._touched)
        until = datetime.now(UTC) + timedelta(seconds=PAUSE_S)
        commands: tuple[Command, ...] = (
            PauseTenant("chaos", "a round", until),
            PauseTenant("chaos", "a round"),
            ResumeTenant("chaos", "a round"),
            ResumeTenant("chaos", "a round"),
            Connect(Wait.NO),
            Status(),
        )
        return tenant, chance.choice(commands)

    async def _write(self, tenant: str) -> None:
        """One session writes one transaction after the other; one that breaks is opened again."""
        while self._going:
            try:
                session = await self._server.superuser_connection(tenant)
            except DRIVER_ERRORS:
                await asyncio.sleep(AWAY_S)
                continue
            try:
                await self._write_with(session, tenant)
            except DRIVER_ERRORS:
                await asyncio.sleep(AWAY_S)
            finally:
                session.terminate()

    async def _write_with(self, session: Any, tenant: str) -> None:
        committed, unknown = self._evidence.committed[tenant], self._evidence.unknown[tenant]
        while self._going:
            ids = [str(uuid.uuid4()) for _ in range(self._chance.randint(1, 3))]
            unknown.update(ids)
            began = time.time()
            async with session.transaction():
                for row in ids:
                    await session.execute(INSERT, row)
                lsn = await session.fetchval(PLACE)
            self._evidence.placed[tenant].update(dict.fromkeys(ids, Placed(lsn, began, time.time())))
            unknown.difference_update(ids)
            committed.update(ids)
            await asyncio.sleep(self._chance.random() * WRITE_PAUSE_MAX_S)
