"""The work for one tenant under one claim: one thing at a time, each begun where the one before ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial

import structlog

from statemachine.commands import (
    CheckPassed,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    EffectFailed,
    PartitionFailed,
    ProvisionDone,
    SettingsChanged,
)
from statemachine.reactions import Reaction, reaction, streamed
from statemachine.state import StopReason, TenantState
from streams.catalog.entry import Database
from streams.effects.backoff import Losses, delays_ms
from streams.effects.means import Means
from streams.effects.streaming import Holding, StreamWork, forget_point
from streams.effects.unforeseen import OF_THE_LOG, unforeseen
from streams.effects.wanted import Unwanted, Wanted, entry_of, server_of, wanted
from streams.errors import CatalogUnreadable, CredentialsUnreadable, KafkaUnreachable, OwnershipLost
from streams.tenantdb.check import check
from streams.tenantdb.connection import TenantConnection
from streams.tenantdb.failure import NewerClaimHoldsLock, TenantDatabaseFailure
from streams.tenantdb.provision import provision
from streams.worker.office import Owner

log = structlog.get_logger(__name__)

_NOT_LOOKED_FOR = "sessions of an owner before could not be looked for"
_UNREADABLE = (CatalogUnreadable, CredentialsUnreadable)
_GONE = (StopReason.REMOVED, StopReason.TENANT_NOT_FOUND)


class SettingsDiffer(Exception):
    """The catalog asks for another connection than the one that was found good."""


class TenantWork:
    """Does what the tenant's state calls for, and reports what came of it.

    Args:
        tenant: whose.
        owner: under whose claim sessions are opened, and who is told what came of it.
        means: what the work needs.
        rested: told that nothing is done and nothing held any more, until something is wanted again.
    """

    def __init__(
        self,
        tenant: str,
        owner: Owner,
        means: Means,
        rested: Callable[[], None],
    ) -> None:
        self._tenant = tenant
        self._owner = owner
        self._claim = owner.claim
        self._means = means
        self._report = partial(owner.report, tenant)
        self._rested = rested
        self._reaction = Reaction.REST
        self._settings: str | None = None
        self._alone = False
        self._untouched = False
        self._migrations = 0
        self._pointless = False
        self._task: asyncio.Task[None] | None = None
        self._connection: TenantConnection | None = None
        self._wanted: Wanted | None = None
        self._retried_at: datetime | None = None
        self._retried = asyncio.Event()
        self._held = asyncio.Event()
        self._stream = StreamWork(
            tenant, owner.claim, means, self._report, Holding(self._held, lambda: self._connection)
        )

    @property
    def resting(self) -> bool:
        """Nothing is being done and nothing is held."""
        return self._connection is None and (self._task is None or self._task.done()) and self._stream.resting

    def want(self, state: TenantState) -> None:
        """Do what ``state`` calls for; what is done already goes on."""
        self._settings = state.settings
        # Where no check ever passed nobody has held anything, and its database is not needed to stop the tenant.
        self._untouched = state.migrations is None
        self._migrations = state.migrations or 0
        self._pointless = state.stream is not None and state.stop is not None and state.stop.reason in _GONE
        if state.retried_at != self._retried_at:
            self._retried_at = state.retried_at
            self._retried.set()
        if streamed(state):
            self._stream.want(state)
        due = reaction(state)
        if due is self._reaction and self._task is not None and not self._task.done():
            return
        self._reaction = due
        self._task = asyncio.get_running_loop().create_task(self._follow(self._task, due))

    async def reconsider(self) -> None:
        """Report it where the catalog asks for another connection than the one that is held; limits hold at once."""
        try:
            entry = await entry_of(self._means, self._tenant)
        except (Unwanted, KafkaUnreachable) as error:
            log.warning("catalog.not_compared", tenant=self._tenant, error=str(error))
            return
        self._stream.change(entry.limits)
        asked = wanted(entry)
        # Where nothing was asked for yet, whoever asks next compares.
        if self._wanted is not None and asked != self._wanted:
            self._report(SettingsChanged(), "effect:catalog")

    async def close(self) -> None:
        """End the work and close what is held; takes no longer than the bounds of a stream and a session."""
        task, self._task = self._task, None
        await _end(task)
        await self._close_all()

    async def _follow(self, previous: asyncio.Task[None] | None, due: Reaction) -> None:
        await _end(previous)
        try:
            await self._try(due)
        except OF_THE_LOG as error:
            self._means.failed(error)
        except Exception:
            # An error that nobody thought of is this tenant's, and must not end the work for all the others.
            log.exception("effect.failed", tenant=self._tenant, effect=due.value)
            await self._give_up(due)

    async def _try(self, due: Reaction) -> None:
        try:
            await self._perform(due)
        except Unwanted as error:
            await self._close_all()
            self._report(error.failure, f"effect:{due.value}")
        except TenantDatabaseFailure as error:
            await self._close_all()
            self._report(EffectFailed(StopReason(error.reason), str(error.code), str(error)), f"effect:{due.value}")
        except SettingsDiffer:
            self._report(SettingsChanged(), f"effect:{due.value}")
        except OwnershipLost:
            # The newer owner does what is to be done, and nobody takes a report of ours.
            await self._close_all()
        except KafkaUnreachable as error:
            await self._close_all()
            failure = EffectFailed(StopReason.DATABASE_UNAVAILABLE, error.code, str(error))
            self._report(failure, f"effect:{due.value}")

    async def _give_up(self, due: Reaction) -> None:
        """End what is held after an error that nobody thought of, which may be in ending it, and tell of it."""
        try:
            await self._close_all()
        except Exception:
            log.exception("effect.not_closed", tenant=self._tenant, effect=due.value)
        try:
            report = unforeseen(due)
            if report is None:
                self._rested()
            else:
                self._report(report, f"effect:{due.value}")
        except Exception as error:  # noqa: BLE001  who takes no reports serves no tenant, and this one would be stuck
            self._means.failed(error)

    async def _perform(self, due: Reaction) -> None:
        match due:
            case Reaction.CHECK:
                await self._check()
            case Reaction.PROVISION:
                await self._provision()
            case Reaction.HOLD:
                await self._hold()
            case Reaction.CLOSE:
                await self._close_all()
                doubt = await self._end_older()
                if self._pointless:
                    await forget_point(self._means, self._tenant)
                self._report(ConnectionClosed(doubt), "effect:close")
            case _:
                await self._close_all()
                self._rested()

    async def _check(self) -> None:
        self._alone = self._untouched
        asked = self._wanted = wanted(await entry_of(self._means, self._tenant))
        async with self._place(asked.database):
            checked = await check(asked.database, self._means.limits)
        report = CheckPassed(
            checked.available,
            checked.required,
            checked.migrations_on_database,
            checked.took_ms,
            asked.mode,
            asked.fingerprint,
        )
        self._report(report, "effect:check")

    async def _provision(self) -> None:
        database = await self._checked()
        await self._open(database)
        async with self._place(database):
            done = await provision(database, self._means.now().date(), self._means.limits)
        days = tuple(day.isoformat() for day in done.partitions)
        # A worker that died meanwhile, or another runner, may have applied some after the check.
        run = max(done.migrations_run, done.migrations_on_database - self._migrations)
        self._report(ProvisionDone(run, days, done.took_ms), "effect:provision")
        for day, message in done.partitions_failed:
            log.warning("partitions.failed", tenant=self._tenant, code="PartitionCreationFailed", day=day.isoformat())
            self._report(PartitionFailed(day.isoformat(), message), "effect:provision")

    async def _hold(self) -> None:
        """Keep the connection; open it again as often as it breaks, until the state calls for something else."""
        clock = asyncio.get_running_loop().time
        losses = Losses(*self._means.backoff_ms, self._means.chance)
        while True:
            if self._connection is None:
                await self._reopen()
            connection = self._connection
            if connection is None:
                continue
            since = clock()
            await connection.lost.wait()
            # Who had the lock before may have it again meanwhile.
            self._alone = False
            self._held.clear()
            self._retried.clear()
            log.warning("database.lost", tenant=self._tenant)
            # Before it is closed, which takes a while with a server that hangs: the window is open since now.
            self._report(ConnectionLost("DatabaseConnectionDown", "a session ended unexpectedly"), "effect:hold")
            await self._close()
            await self._pause(losses.pause_ms((clock() - since) * 1000))

    async def _reopen(self) -> None:
        """Attempt to open the connection until it is open."""
        for delay_ms in delays_ms(*self._means.backoff_ms, self._means.chance):
            self._retried.clear()
            try:
                await self._open(await self._checked())
            except TenantDatabaseFailure as error:
                log.warning("database.unavailable", tenant=self._tenant, code=str(error.code), error=str(error))
                self._report(ConnectionLost(str(error.code), str(error)), "effect:hold")
            except KafkaUnreachable as error:
                log.warning("catalog.unavailable", tenant=self._tenant, code=error.code)
            else:
                self._report(ConnectionRestored(), "effect:hold")
                return
            await self._pause(delay_ms)

    async def _pause(self, delay_ms: int) -> None:
        """Wait for the next attempt, or until an operator asks for it."""
        try:
            async with asyncio.timeout(delay_ms / 1000):
                await self._retried.wait()
        except TimeoutError:
            return

    async def _open(self, database: Database) -> None:
        """Hold a connection under this claim.

        While a newer claim holds the tenant, no attempt is made before the log has told once more that ours counts. It
        may: claims of another region, which the tenant came from, are not to be compared with ours.

        Raises:
            OwnershipLost: our claim does not count any more.
            KafkaUnreachable: the log could not be asked.
        """
        for delay_ms in delays_ms(*self._means.backoff_ms, self._means.chance):
            if self._connection is not None and not self._connection.lost.is_set():
                return
            await self._close()
            try:
                await self._take_over(database)
                self._held.set()
            except NewerClaimHoldsLock as error:
                log.warning("claim.superseded", tenant=self._tenant, claim=self._claim, held_by=error.held_by)
                await self._owner.prove(doubted=True)
                await asyncio.sleep(delay_ms / 1000)

    async def _take_over(self, database: Database) -> None:
        async with self._place(database):
            # Behind the wait for a place, which may be long: a proof says nothing of what comes after it.
            await self._owner.prove()
            self._connection = await TenantConnection.open(
                database, tenant=self._tenant, claim=self._claim, limits=self._means.limits
            )
        self._alone = True

    async def _end_older(self) -> str | None:
        """End what an owner before may still hold, unless it is known that nobody does; why it may still be there.

        One that vanished in the middle of stopping closed nothing, and its server may not have noticed. Where another
        region serves the tenant now, what is held there is that region's.
        """
        if self._alone:
            return None
        doubt = None
        try:
            entry = await self._means.load(self._tenant)
            if entry is None:
                doubt = f"{_NOT_LOOKED_FOR}: the catalog says no more where"
            elif self._means.serves(entry.region):
                await self._take_over(entry.database.model_copy(update={"pool_size": 1}))
        except (*_UNREADABLE, KafkaUnreachable, TenantDatabaseFailure, NewerClaimHoldsLock) as error:
            log.warning("sessions.not_looked_for", tenant=self._tenant, code=str(error.code), error=str(error))
            doubt = f"{_NOT_LOOKED_FOR}: {error}"
        await self._close()
        return doubt

    async def _checked(self) -> Database:
        """The database that the tenant's check found good, be it an owner's before.

        Raises:
            SettingsDiffer: the catalog asks for another connection by now; that one is to be checked first.
        """
        asked = wanted(await entry_of(self._means, self._tenant))
        if self._wanted is None and self._settings in {None, asked.fingerprint}:
            self._wanted = asked
        if asked != self._wanted:
            raise SettingsDiffer
        return asked.database

    def _place(self, database: Database) -> AbstractAsyncContextManager[None]:
        return self._means.bounds.place(server_of(database), self._tenant, first=self._means.used(self._tenant))

    async def _close_all(self) -> None:
        """The stream first: its last point to resume from needs a pooled session."""
        await self._stream.close()
        await self._close()

    async def _close(self) -> None:
        connection, self._connection = self._connection, None
        self._held.clear()
        if connection is not None:
            await connection.close()


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
