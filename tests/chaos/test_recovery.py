"""What counts as having come back: the owner's word, and the database's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.evidence import Session
from tests.chaos.recovery import missing

CLAIM = 3
HELD = Session(10, CLAIM, holder=True)


def status(**changed: str) -> dict[str, Any]:
    words = {"lifecycle": "ready", "database": "up", "replication": "streaming", **changed}
    return {**words, "owner": {"claim": CLAIM}}


def test_a_tenant_that_works_and_is_held_lacks_nothing() -> None:
    assert missing(status(), [HELD], streamed=True, always=True) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [("lifecycle", "checking"), ("lifecycle", "absent"), ("database", "recovering"), ("replication", "waiting")],
)
def test_a_tenant_that_does_not_work_yet_is_found(name: str, value: str) -> None:
    assert missing(status(**{name: value}), [HELD], streamed=True, always=True) is not None


def test_a_tenant_that_is_not_streamed_needs_no_stream() -> None:
    assert missing(status(replication="off"), [HELD], streamed=False, always=True) is None


@pytest.mark.parametrize("session", [HELD._replace(claim=1), HELD._replace(holder=False)])
def test_a_tenant_that_is_ready_by_its_status_alone_is_found(session: Session) -> None:
    assert missing(status(), [session], streamed=True, always=True) is not None


def test_a_tenant_that_was_asked_to_stop_may_have_stopped_and_may_not_be_stuck_on_its_way() -> None:
    assert missing(status(lifecycle="absent"), [], streamed=True, always=False) is None
    assert missing(status(lifecycle="stopping"), [HELD], streamed=True, always=False) is not None
