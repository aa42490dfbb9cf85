"""What is refused before it reaches an owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from statemachine.commands import (
    CheckHealth,
    Command,
    Connect,
    PauseTenant,
    Reload,
    ResumeTenant,
    Retry,
    Shutdown,
    Status,
)
from statemachine.errors import Refused, TenantNotFound, TenantSuspended
from streams.catalog.record import CatalogSummary
from streams.worker.admission import refusal

NOW: Final = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)
ENTRY: Final = CatalogSummary(tenant="t1", region="us-east-1")
SUSPENDED: Final = ENTRY.model_copy(update={"suspended": True})
COMMANDS: Final = (
    Connect(),
    Reload(),
    CheckHealth(),
    PauseTenant(),
    ResumeTenant(),
    Retry(),
    Shutdown(),
    Status(),
)


def _refused(entry: CatalogSummary | None) -> dict[type[Command], type[Refused]]:
    answers = {type(command): refusal(command, entry) for command in COMMANDS}
    return {command: answer.error for command, answer in answers.items() if answer is not None}


def test_nothing_is_refused_of_a_tenant_that_is_in_the_catalog() -> None:
    assert _refused(ENTRY) == {}


def test_a_suspended_tenant_is_connected_by_nobody() -> None:
    assert _refused(SUSPENDED) == {Connect: TenantSuspended, Reload: TenantSuspended}


def test_of_a_tenant_that_the_catalog_does_not_know_there_is_nothing_to_connect_and_no_health() -> None:
    assert _refused(None) == {Connect: TenantNotFound, Reload: TenantNotFound, CheckHealth: TenantNotFound}


def test_a_pause_is_refused_by_its_owner_alone_who_knows_its_copies() -> None:
    assert refusal(PauseTenant("late", "ada", NOW - timedelta(hours=1)), ENTRY) is None
