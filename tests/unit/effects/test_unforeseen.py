"""Errors that nobody thought of: they are one tenant's, and end nothing for the others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest

from statemachine.commands import Connect, ConnectionClosed, EffectFailed, Report, Shutdown
from statemachine.connect_limit import counts
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import TenantState
from streams.effects.bounds import Bounds
from streams.effects.housekeeping import Housekeeping, Schedule
from streams.effects.means import Means
from streams.effects.runner import EffectRunner
from streams.effects.tenant import TenantWork
from streams.errors import DeliveryFailed

Found = TypeVar("Found")

DEADLINE_S = 5.0
SOON = timedelta(milliseconds=1)
SCHEDULE = Schedule(interval=SOON, jitter_max=SOON, retry=SOON, tenants_max=2, retention=timedelta(days=3))


def ready(tenant: str) -> TenantState:
    return TenantState(tenant, Lifecycle.READY, DatabaseHealth.UP)


class Ward:
    """An owner of two tenants, whose catalog fails.

    Attributes:
        number: of its partition.
        claim: its own.
        tenants: the states of its tenants.
        asked: of whom the catalog was asked.
        reports: what was reported.
        failures: what ended the worker.
    """

    def __init__(self, error: Exception) -> None:
        self.number = 0
        self.claim = 0
        self.tenants: Iterable[TenantState] = (ready("t1"), ready("t2"))
        self.asked: asyncio.Queue[str] = asyncio.Queue()
        self.reports: asyncio.Queue[Report | Shutdown | Connect] = asyncio.Queue()
        self.failures: asyncio.Queue[Exception] = asyncio.Queue()
        self._error = error

    def state(self, tenant: str) -> TenantState:
        return ready(tenant)

    def report(self, tenant: str, report: Report | Shutdown | Connect, causation: str) -> None:
        assert tenant in {"t1", "t2"}
        assert causation.startswith("effect:")
        self.reports.put_nowait(report)

    async def prove(self, *, doubted: bool = False) -> None:
        assert not doubted

    async def load(self, tenant: str) -> Any:
        self.asked.put_nowait(tenant)
        raise self._error

    @property
    def means(self) -> Means:
        nothing: Any = None
        return Means._make([nothing] * len(Means._fields))._replace(
            load=self.load,
            bounds=Bounds(1, 1),
            backoff_ms=(1, 1),
            chance=random.Random(7),
            now=lambda: datetime.now(UTC),
            used=lambda _tenant: False,
            failed=self.failures.put_nowait,
        )

    def work(self) -> TenantWork:
        return TenantWork("t1", self, self.means, lambda: None)


async def soon(queue: asyncio.Queue[Found]) -> Found:
    async with asyncio.timeout(DEADLINE_S):
        return await queue.get()


@pytest.mark.parametrize("lifecycle", [Lifecycle.CHECKING, Lifecycle.PROVISIONING, Lifecycle.READY])
async def test_work_that_ends_with_an_unforeseen_error_fails_for_its_tenant_alone_and_counts(
    lifecycle: Lifecycle,
) -> None:
    ward = Ward(ZeroDivisionError())
    work = ward.work()
    work.want(ready("t1")._replace(lifecycle=lifecycle))
    report = await soon(ward.reports)
    assert isinstance(report, EffectFailed)
    assert report.code == "InternalError"
    assert counts(report.reason, report.code)
    await work.close()
    assert (ward.asked.qsize(), ward.failures.qsize()) == (1, 0)


async def test_a_tenant_whose_closing_ends_with_an_unforeseen_error_is_closed_with_a_doubt() -> None:
    ward = Ward(ZeroDivisionError())
    work = ward.work()
    work.want(ready("t1")._replace(lifecycle=Lifecycle.STOPPING))
    report = await soon(ward.reports)
    assert isinstance(report, ConnectionClosed)
    assert "an error of the service" in str(report.doubt)
    await work.close()
    assert ward.failures.empty()


async def test_an_error_of_the_log_ends_the_worker() -> None:
    ward = Ward(DeliveryFailed("the broker said no"))
    work = ward.work()
    work.want(ready("t1")._replace(lifecycle=Lifecycle.CHECKING))
    async with asyncio.timeout(DEADLINE_S):
        assert isinstance(await ward.failures.get(), DeliveryFailed)
    await work.close()
    assert ward.reports.empty()


async def test_migrating_that_ends_with_an_unforeseen_error_ends_nothing_else() -> None:
    ward = Ward(ZeroDivisionError())
    runner = EffectRunner(ward.means)
    for _ in range(2):
        runner.migrate(ward, "t1")
        await soon(ward.asked)
        for _ in range(5):
            await asyncio.sleep(0)
    await runner.close()
    assert ward.failures.empty()


async def test_housekeeping_goes_on_with_the_next_tenant_after_an_unforeseen_error() -> None:
    ward = Ward(ZeroDivisionError())
    keeping = asyncio.create_task(Housekeeping(ward.means, SCHEDULE, random.Random(7), lambda: (ward,)).run())
    asked = [await soon(ward.asked) for _ in range(6)]
    assert set(asked) == {"t1", "t2"}
    assert not keeping.done()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
