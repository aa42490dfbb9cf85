"""Looking after tenants' messages: partitions for the days to come, and none for those that have expired."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

import structlog

from statemachine.commands import PartitionFailed, PartitionMade
from statemachine.machines import Lifecycle
from statemachine.state import TenantState
from streams.effects.means import Means
from streams.effects.unforeseen import INTERNAL_ERROR, OF_THE_LOG
from streams.effects.wanted import Unwanted, entry_of, server_of
from streams.errors import KafkaUnreachable
from streams.tenantdb.failure import TenantDatabaseFailure
from streams.tenantdb.retention import Kept, housekeep
from streams.worker.office import Owner

log = structlog.get_logger(__name__)

OTHERS_TOLD_MAX: Final = 5
"""Names of tables that are told of those which no retention drops; there may be thousands."""


class Schedule(NamedTuple):
    """When and how much is looked after.

    Attributes:
        interval: from one round to the next.
        jitter_max: longest random delay of a round.
        retry: until a day that failed is tried again.
        tenants_max: tenants at once.
        retention: how long messages are kept.
    """

    interval: timedelta
    jitter_max: timedelta
    retry: timedelta
    tenants_max: int
    retention: timedelta


class Household(Owner, Protocol):
    """An owner, and the states of all its tenants."""

    @property
    def tenants(self) -> Iterable[TenantState]:
        """The states of its tenants."""


class Housekeeping:
    """Looks after every tenant that was connected since the round before, whoever made that one.

    Args:
        means: what work on tenants needs.
        schedule: when and how much.
        chance: randomness, so that not all workers come at once.
        households: the owners of this worker's partitions.
    """

    def __init__(
        self,
        means: Means,
        schedule: Schedule,
        chance: random.Random,
        households: Callable[[], Iterable[Household]],
    ) -> None:
        self._means = means
        self._schedule = schedule
        self._chance = chance
        self._households = households
        self._places = asyncio.Semaphore(schedule.tenants_max)

    async def run(self) -> None:
        """Go round for ever."""
        following = self._following(self._means.now())
        while True:
            wait = min(self._schedule.retry, max(following - self._means.now(), timedelta(0)))
            await asyncio.sleep(wait.total_seconds())
            now = self._means.now()
            if now >= following:
                since = self._round_before(now)
                await self._round(lambda state, since=since: _connected_since(state, since))  # type: ignore[misc]
                following = self._following(now)
            else:
                await self._round(lambda state: bool(state.partitions_failed) and state.pause is None)

    def _round_before(self, now: datetime) -> datetime:
        """When a tenant was looked after last, at the latest, if it was connected then.

        An owner before may have died right before its round, and this one's first comes a whole interval later.
        """
        return now - 2 * (self._schedule.interval + self._schedule.jitter_max)

    def _following(self, last: datetime) -> datetime:
        return last + self._schedule.interval + self._schedule.jitter_max * self._chance.random()

    async def _round(self, due: Callable[[TenantState], bool]) -> None:
        wanted = [
            (household, state.tenant) for household in self._households() for state in household.tenants if due(state)
        ]
        await asyncio.gather(*(self._look_after(household, tenant) for household, tenant in wanted))

    async def _look_after(self, household: Household, tenant: str) -> None:
        try:
            async with self._places:
                kept = await self._housekeep(tenant)
            self._report(household, tenant, kept)
        except OF_THE_LOG:
            raise
        except (Unwanted, KafkaUnreachable) as error:
            log.warning("housekeeping.left_out", tenant=tenant, error=str(error))
        except TenantDatabaseFailure as error:
            log.warning("housekeeping.failed", tenant=tenant, code="JanitorFailedToDeleteOldMessages", error=str(error))
        except Exception:
            # An error that nobody thought of is this tenant's; the others are looked after all the same.
            log.exception("housekeeping.failed", tenant=tenant, code=INTERNAL_ERROR)

    async def _housekeep(self, tenant: str) -> Kept:
        database = (await entry_of(self._means, tenant)).database
        async with self._means.bounds.place(server_of(database), tenant):
            return await housekeep(database, self._means.now(), self._means.limits, self._schedule.retention)

    @staticmethod
    def _report(household: Household, tenant: str, kept: Kept) -> None:
        for day, message in kept.partitions.failed:
            log.warning("partitions.failed", tenant=tenant, code="PartitionCreationFailed", day=day.isoformat())
            household.report(tenant, PartitionFailed(day.isoformat(), message), "effect:housekeeping")
        passed = [day for day in household.state(tenant).partitions_failed if day < _first_day(kept)]
        made = [day.isoformat() for day in kept.partitions.made]
        for name in (*passed, *made):
            household.report(tenant, PartitionMade(name), "effect:housekeeping")
        for day, message in kept.dropped.failed:
            code = "JanitorFailedToDeleteOldMessages"
            log.warning("retention.failed", tenant=tenant, code=code, day=day.isoformat(), error=message)
        if kept.dropped.days:
            log.info("retention.dropped", tenant=tenant, days=[day.isoformat() for day in kept.dropped.days])
        others = kept.dropped.others
        if others:
            log.warning("retention.others_left", tenant=tenant, number=len(others), first=others[:OTHERS_TOLD_MAX])


def _first_day(kept: Kept) -> str:
    """The first day that is looked after; one before it has passed, and is missed by nobody any more."""
    days = (*kept.partitions.made, *(day for day, _ in kept.partitions.failed))
    return min(days).isoformat() if days else ""


def _connected_since(state: TenantState, since: datetime) -> bool:
    """Connected now, or once in the time since the round before; an operator's pause is respected."""
    if state.lifecycle is Lifecycle.READY:
        return True
    stopped_since = state.lifecycle is Lifecycle.ABSENT and state.since is not None and state.since >= since
    return stopped_since and state.migrations is not None and state.pause is None
