"""Since when a tenant's rows are promised, and when that is forgotten."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import pytest

from statemachine.commands import ConnectionClosed, Shutdown
from statemachine.events import ConnectStopped, ConnectStopping
from statemachine.machines import Lifecycle
from statemachine.state import StopReason
from tests.support.scenario import Scenario, given
from tests.unit.statemachine.situations import (
    CHECKED,
    CHECKED_DURABLE,
    POSTPONED,
    PROVISIONED,
    REQUESTED,
    STARTED,
    STOPPED,
    STOPPING,
)

SECOND: Final = timedelta(seconds=1)
GONE: Final = (StopReason.REMOVED, StopReason.TENANT_NOT_FOUND)
READY: Final = given(REQUESTED, CHECKED_DURABLE, PROVISIONED)
PROMISED_SINCE: Final = READY.now - SECOND
STOPPED_BEFORE_ITS_STREAM: Final = READY.given(POSTPONED, STOPPING, STOPPED)


def _removed(scenario: Scenario) -> Scenario:
    return scenario.when(Shutdown(StopReason.REMOVED))


def test_rows_are_promised_from_the_moment_on_at_which_who_waited_was_answered() -> None:
    given(REQUESTED, CHECKED_DURABLE).and_state(promised_since=None)
    READY.and_state(promised_since=PROMISED_SINCE, stream=None)


def test_the_promise_is_kept_over_stops_until_rows_are_streamed() -> None:
    again = STOPPED_BEFORE_ITS_STREAM.given(REQUESTED, CHECKED_DURABLE, PROVISIONED)
    again.and_state(promised_since=PROMISED_SINCE)
    again.given(STARTED).and_state(promised_since=None).given(STOPPING, STOPPED, REQUESTED, CHECKED_DURABLE)


def test_who_was_streamed_before_is_promised_nothing_but_what_came_since() -> None:
    again = READY.given(STARTED, STOPPING, STOPPED, REQUESTED, CHECKED_DURABLE, PROVISIONED)
    again.and_state(promised_since=None)
    assert again.state.stream is not None


def test_another_mode_promises_nothing() -> None:
    other = STOPPED_BEFORE_ITS_STREAM.given(REQUESTED, CHECKED, PROVISIONED).and_state(promised_since=None)
    back = other.given(STOPPING, STOPPED, REQUESTED, CHECKED_DURABLE, PROVISIONED)
    back.and_state(promised_since=back.now - SECOND)


@pytest.mark.parametrize("reason", GONE)
@pytest.mark.parametrize("before", [READY, READY.given(STARTED)], ids=["promised", "streamed"])
def test_a_tenant_that_is_put_into_the_catalog_again_begins_afresh(before: Scenario, reason: StopReason) -> None:
    gone = before.given(ConnectStopping(reason, None, "gone"), ConnectStopped(reason, None, "gone"))
    gone.and_state(stream=None, promised_since=None)


@pytest.mark.parametrize(
    "absent", [STOPPED_BEFORE_ITS_STREAM, READY.given(STARTED, STOPPING, STOPPED)], ids=["promised", "streamed"]
)
def test_the_removal_of_a_tenant_that_is_not_connected_is_told_once_and_forgets_what_was_promised(
    absent: Scenario,
) -> None:
    removed = _removed(absent)
    told = removed.then(ConnectStopped(StopReason.REMOVED, None, "the tenant was removed from the catalog"))
    told.and_state(lifecycle=Lifecycle.ABSENT, stream=None, promised_since=None, reconnect=False)
    _removed(told).then_nothing()


def test_the_removal_of_a_tenant_to_which_nothing_was_promised_is_no_event() -> None:
    _removed(given(REQUESTED, CHECKED, PROVISIONED, STOPPING, STOPPED)).then_nothing()


def test_a_removal_while_the_tenant_stops_for_another_reason_is_told_by_its_stop() -> None:
    removed = _removed(READY.given(STARTED, STOPPING))
    assert [decision.reason for decision in removed.decisions if isinstance(decision, ConnectStopping)] == [
        StopReason.REMOVED
    ]
    again = _removed(removed)
    assert again.decisions[-1] is None
    again.when(ConnectionClosed()).and_state(lifecycle=Lifecycle.ABSENT, stream=None)
