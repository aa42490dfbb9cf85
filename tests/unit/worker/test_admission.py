"""What is refused before it reaches an owner."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

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
from statemachine.errors import InvalidCommand, Refused, TenantNotFound, TenantSuspended
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
    answers = {type(command): refusal(command, entry, NOW) for command in COMMANDS}
    return {command: answer.error for command, answer in answers.items() if answer is not None}


def test_nothing_is_refused_of_a_tenant_that_is_in_the_catalog() -> None:
    assert _refused(ENTRY) == {}


def test_a_suspended_tenant_is_connected_by_nobody() -> None:
    assert _refused(SUSPENDED) == {Connect: TenantSuspended, Reload: TenantSuspended}


def test_of_a_tenant_that_the_catalog_does_not_know_there_is_nothing_to_connect_and_no_health() -> None:
    assert _refused(None) == {Connect: TenantNotFound, Reload: TenantNotFound, CheckHealth: TenantNotFound}


@pytest.mark.parametrize("entry", [ENTRY, SUSPENDED, None])
@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=1)])
def test_a_pause_whose_end_has_passed_is_refused_and_says_so(entry: CatalogSummary | None, ago: timedelta) -> None:
    until = NOW - ago
    refused = refusal(PauseTenant("late", "ada", until), entry, NOW)
    assert refused is not None
    assert refused.error is InvalidCommand
    assert refused.message == f"until: {until.isoformat()} has passed; give a time that is to come"


def test_a_pause_that_ends_in_a_moment_is_taken() -> None:
    assert refusal(PauseTenant(until=NOW + timedelta(microseconds=1)), ENTRY, NOW) is None
