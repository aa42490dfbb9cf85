"""The work for one tenant under one claim: one thing at a time, each begun where the one before ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import date
from typing import NamedTuple

import structlog

from statemachine.commands import (
    CheckPassed,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    EffectFailed,
    ProvisionDone,
    Report,
)
from statemachine.reactions import Reaction
from statemachine.state import StopReason
from streams.catalog.entry import CatalogEntry, Database
from streams.effects.backoff import delays_ms
from streams.effects.bounds import Bounds
from streams.errors import CatalogUnreadable, CredentialsUnreadable, KafkaUnreachable
from streams.tenantdb.check import check
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.failure import NewerClaimHoldsLock, TenantDatabaseFailure
from streams.tenantdb.provision import provision
from streams.tenantdb.session import SessionLimits

log = structlog.get_logger(__name__)


class Means(NamedTuple):
    """What the work of every tenant needs.

    Attributes:
        load: the tenant's catalog entry as of now, None for no such tenant.
        bounds: places to work in.
        limits: bounds of database sessions.
        backoff_ms: shortest and longest wait between attempts to reconnect, in milliseconds.
        chance: randomness for those waits.
        today: the UTC day.
        failed: told of a failure that the worker cannot survive.
    """

    load: Callable[[str], Awaitable[CatalogEntry | None]]
    bounds: Bounds
    limits: SessionLimits
    backoff_ms: tuple[int, int]
    chance: random.Random
    today: Callable[[], date]
    failed: Callable[[Exception], None]


class _Unwanted(Exception):
    """The catalog says that the tenant is not to be connected."""

    def __init__(self, reason: StopReason, code: str, message: str) -> None:
        super().__init__(message)
        self.failure = EffectFailed(reason, code, message)


class TenantWork:
    """Does what the tenant's state calls for, and reports what came of it.

    Args:
        tenant: whose.
        claim: under which sessions are opened.
        means: what the work needs.
        report: takes a report and the name of the effect it comes from.
    """

    def __init__(self, tenant: str, claim: int, means: Means, report: Callable[[Report, str], None]) -> None:
        self._tenant = tenant
        self._claim = claim
        self._means = means
        self._report = report
        self._reaction = Reaction.REST
        self._task: asyncio.Task[None] | None = None
        self._connection: TenantConnection | None = None

    @property
    def resting(self) -> bool:
        """Nothing is being done and nothing is held."""
        return self._connection is None and (self._task is None or self._task.done())

    def want(self, reaction: Reaction) -> None:
        """Do what ``reaction`` says; what is done already goes on."""
        if reaction is self._reaction and self._task is not None and not self._task.done():
            return
        self._reaction = reaction
        self._task = asyncio.get_running_loop().create_task(self._follow(self._task, reaction))

    async def close(self) -> None:
        """End the work and close what is held; takes no longer than the bounds of a session."""
        task, self._task = self._task, None
        await _end(task)
        await self._close()

    async def _follow(self, previous: asyncio.Task[None] | None, reaction: Reaction) -> None:
        await _end(previous)
        try:
            await self._perform(reaction)
        except _Unwanted as error:
            await self._close()
            self._report(error.failure, f"effect:{reaction.value}")
        except TenantDatabaseFailure as error:
            await self._close()
            self._report(
                EffectFailed(StopReason(error.reason), str(error.code), str(error)), f"effect:{reaction.value}"
            )
        except KafkaUnreachable as error:
            await self._close()
            failure = EffectFailed(StopReason.DATABASE_UNAVAILABLE, error.code, str(error))
            self._report(failure, f"effect:{reaction.value}")
        except Exception as error:  # noqa: BLE001  a tenant whose work ended unnoticed would be stuck for ever
            self._means.failed(error)

    async def _perform(self, reaction: Reaction) -> None:
        match reaction:
            case Reaction.CHECK:
                await self._check()
            case Reaction.PROVISION:
                await self._provision()
            case Reaction.HOLD:
                await self._hold()
            case Reaction.CLOSE:
                await self._close()
                self._report(ConnectionClosed(), "effect:close")
            case _:
                await self._close()

    async def _check(self) -> None:
        database = await self._database()
        async with self._means.bounds.place(_server(database)):
            checked = await check(database, self._means.limits)
        report = CheckPassed(checked.available, checked.required, checked.migrations_on_database, checked.took_ms)
        self._report(report, "effect:check")

    async def _provision(self) -> None:
        database = await self._database()
        await self._open(database)
        async with self._means.bounds.place(_server(database)):
            done = await provision(database, self._means.today(), self._means.limits)
        days = tuple(day.isoformat() for day in done.partitions)
        self._report(ProvisionDone(done.migrations_run, days, done.took_ms), "effect:provision")

    async def _hold(self) -> None:
        """Keep the connection; open it again as often as it breaks, until the state calls for something else."""
        while True:
            if self._connection is None:
                await self._reopen()
            connection = self._connection
            if connection is None:
                continue
            await connection.lost.wait()
            await self._close()
            log.warning("database.lost", tenant=self._tenant)
            self._report(ConnectionLost("DatabaseConnectionDown", "a session ended unexpectedly"), "effect:hold")

    async def _reopen(self) -> None:
        """Attempt to open the connection until it is open."""
        for delay_ms in delays_ms(*self._means.backoff_ms, self._means.chance):
            try:
                await self._open(await self._database())
            except TenantDatabaseFailure as error:
                log.warning("database.unavailable", tenant=self._tenant, code=str(error.code))
                self._report(ConnectionLost(str(error.code), str(error)), "effect:hold")
            except KafkaUnreachable as error:
                log.warning("catalog.unavailable", tenant=self._tenant, code=error.code)
            else:
                self._report(ConnectionRestored(), "effect:hold")
                return
            await asyncio.sleep(delay_ms / 1000)

    async def _open(self, database: Database) -> None:
        """Hold a connection under this claim; while a newer claim holds the tenant, wait to be relieved."""
        for delay_ms in delays_ms(*self._means.backoff_ms, self._means.chance):
            if self._connection is not None and not self._connection.lost.is_set():
                return
            await self._close()
            try:
                async with self._means.bounds.place(_server(database)):
                    self._connection = await TenantConnection.open(
                        database, tenant=self._tenant, claim=self._claim, limits=self._means.limits
                    )
            except NewerClaimHoldsLock as error:
                log.warning("claim.superseded", tenant=self._tenant, claim=self._claim, held_by=error.held_by)
                await asyncio.sleep(delay_ms / 1000)

    async def _database(self) -> Database:
        try:
            entry = await self._means.load(self._tenant)
        except (CatalogUnreadable, CredentialsUnreadable) as error:
            raise _Unwanted(StopReason.DATABASE_UNAVAILABLE, error.code, str(error)) from error
        if entry is None:
            raise _Unwanted(StopReason.TENANT_NOT_FOUND, "TenantNotFound", "the catalog has no such tenant")
        if entry.suspended:
            raise _Unwanted(StopReason.SUSPENDED, "RealtimeDisabledForTenant", "the tenant is suspended")
        return entry.database

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _server(database: Database) -> str:
    return f"{database.host}:{database.port}"


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
