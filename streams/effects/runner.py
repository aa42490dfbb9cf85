"""All effects of a worker: one piece of work per tenant and owner."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from functools import partial
from typing import Any

import structlog

from statemachine.commands import MigrationsDone, PartitionFailed, SettingsChanged
from statemachine.reactions import Reaction, reaction
from statemachine.state import TenantState
from streams.effects.means import Means
from streams.effects.streaming import forget_point
from streams.effects.tenant import TenantWork
from streams.effects.unforeseen import OF_THE_LOG
from streams.effects.wanted import Unwanted, entry_of, server_of
from streams.errors import KafkaUnreachable
from streams.tenantdb.check import check
from streams.tenantdb.failure import TenantDatabaseFailure
from streams.tenantdb.provision import provision
from streams.worker.office import Owner

log = structlog.get_logger(__name__)


class EffectRunner:
    """Starts, changes and ends the work of tenants as their owners ask for it.

    Args:
        means: what the work of every tenant needs.
    """

    def __init__(self, means: Means) -> None:
        self._means = means
        self._work: dict[Owner, dict[str, TenantWork]] = {}
        self._migrating: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    @property
    def tenants(self) -> int:
        """For how many tenants something is done or held."""
        return sum(map(len, self._work.values()))

    def want(self, owner: Owner, state: TenantState) -> None:
        """Do what the state, which is on the log, calls for."""
        if self._closed:
            return
        due = reaction(state)
        tenants = self._work.setdefault(owner, {})
        work = tenants.get(state.tenant)
        if work is None:
            if due is Reaction.REST:
                return
            rested = partial(self._rested, owner, state.tenant)
            work = tenants[state.tenant] = TenantWork(state.tenant, owner, self._means, rested)
        work.want(state)

    def reconsider(self, owner: Owner, state: TenantState) -> None:
        """The tenant's catalog entry is another one: report where it differs from what is held."""
        work = self._work.get(owner, {}).get(state.tenant)
        if state.retry_at is not None:
            owner.report(state.tenant, SettingsChanged(), "effect:catalog")
        elif work is not None:
            self._spawn(work.reconsider(), state.tenant)

    def removed(self, owner: Owner, state: TenantState) -> None:
        """The tenant's catalog entry is gone: nothing of it is to be resumed. What is held is closed before."""
        work = self._work.get(owner, {}).get(state.tenant)
        if state.stream is not None and (work is None or work.resting) and not self._closed:
            self._spawn(forget_point(self._means, state.tenant), state.tenant)

    def migrate(self, owner: Owner, tenant: str) -> None:
        """Bring the database of a tenant that is not connected up to date, once at a time."""
        if tenant not in self._migrating and not self._closed:
            self._migrating.add(tenant)
            self._spawn(self._migrate(owner, tenant), tenant)

    async def forget(self, owner: Owner) -> None:
        """End the work of the owner's tenants and close what they hold."""
        tenants = self._work.pop(owner, {})
        await asyncio.gather(*(work.close() for work in tenants.values()))
        self._means.fences.forget(owner.number, owner.claim)

    async def close(self) -> None:
        """End all work; nothing is begun afterwards. What states call for is the next owner's."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(self.forget(owner) for owner in list(self._work)))

    async def _migrate(self, owner: Owner, tenant: str) -> None:
        try:
            database = (await entry_of(self._means, tenant)).database
            async with self._means.bounds.place(server_of(database), tenant):
                await check(database, self._means.limits)
                done = await provision(database, self._means.now().date(), self._means.limits)
        except (Unwanted, KafkaUnreachable, TenantDatabaseFailure) as error:
            log.warning("migrations.failed", tenant=tenant, code="MigrationsFailedToRun", error=str(error))
        else:
            report = MigrationsDone(done.migrations_run, done.migrations_on_database, done.took_ms)
            owner.report(tenant, report, "effect:migrate")
            for day, message in done.partitions_failed:
                log.warning("partitions.failed", tenant=tenant, code="PartitionCreationFailed", day=day.isoformat())
                owner.report(tenant, PartitionFailed(day.isoformat(), message), "effect:migrate")
        finally:
            self._migrating.discard(tenant)

    def _rested(self, owner: Owner, tenant: str) -> None:
        """Nothing is done for a tenant any more, and nothing held: most tenants are at rest, and cost nothing."""
        self._work.get(owner, {}).pop(tenant, None)

    def _spawn(self, work: Coroutine[Any, Any, None], tenant: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=tenant)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, OF_THE_LOG):
            self._means.failed(error)
        elif isinstance(error, Exception):
            log.error("effect.failed", tenant=task.get_name(), exc_info=error)
