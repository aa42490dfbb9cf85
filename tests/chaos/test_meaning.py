"""What commands mean: each that was acknowledged, refused or forgotten against what its tenant called for is found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import Finding
from tests.chaos.histories import OTHER, PARTITIONS, TENANT, Written, right

OWNER = 3
"""The claim that counts at the end of the history in which everything is right."""

ENTIRE = "t3"
"""A tenant that is connected with its rows streamed."""


def found(written: Written) -> set[str]:
    return {finding.rule for finding in findings(written)}


def findings(written: Written) -> list[Finding]:
    return check(written.evidence, PARTITIONS)


def connected() -> Written:
    """The right history, and one more tenant that is connected."""
    written = right()
    written.connected(ENTIRE, OWNER)
    return written


def last(written: Written) -> int:
    """The last record's offset."""
    return len(written.evidence.events) - 1


def test_commands_that_change_nothing_are_right_without_an_event() -> None:
    written = connected()

    written.call(ENTIRE, "connect", OWNER, last(written), wait="streaming")
    written.call(ENTIRE, "resume", OWNER, last(written))
    written.call("t4", "shutdown", OWNER, last(written))
    written.call("t4", "retry", OWNER, last(written))
    written.call(OTHER, "connect", OWNER, last(written), code="tenant_paused")
    written.call(OTHER, "status", OWNER, last(written))

    assert findings(written) == []


def test_a_command_that_waited_is_right_with_the_event_that_it_led_to() -> None:
    written = right()
    written.send(ENTIRE, "connect", "c4", wait="ready")
    requested = last(written) + 1
    written.connected(ENTIRE, OWNER, "c4")

    written.call(ENTIRE, "connect", OWNER, last(written), event=requested)
    stopping = written.event(ENTIRE, OWNER, "c5", "connect.stopping", reason="requested")
    stopped = written.event(ENTIRE, OWNER, "effect:close", "connect.stopped", reason="requested")
    written.call(ENTIRE, "shutdown", OWNER, stopped, event=stopping)

    assert findings(written) == []


def delivered_again(written: Written) -> Written:
    """A connect that waits for nothing was refused for a pause; the next owner has it again, and says ok."""
    refused = written.call(TENANT, "connect", OWNER, last(written), code="tenant_paused", at=9.0, wait="no")
    written.event(TENANT, OWNER, "c5", "connect.resumed")
    written.event(TENANT, OWNER, "c6", "connect.requested")
    told = written.call(TENANT, "status", OWNER, last(written), at=10.0).reply
    assert told is not None
    written.put("replies", refused.id, {**told, "command": refused.id})
    written.evidence.watched_until = {}
    return written


def test_a_command_that_was_refused_and_is_delivered_again_may_find_that_another_one_did_it() -> None:
    assert findings(delivered_again(right())) == []


def test_a_command_that_was_refused_and_is_delivered_again_is_not_done_where_nobody_did_it() -> None:
    written = right()
    refused = written.call(TENANT, "connect", OWNER, last(written), code="tenant_paused", at=9.0, wait="no")
    written.event(TENANT, OWNER, "c5", "connect.resumed")
    told = written.call(TENANT, "status", OWNER, last(written), at=10.0).reply
    assert told is not None
    written.put("replies", refused.id, {**told, "command": refused.id})
    written.event(TENANT, OWNER, "c6", "connect.requested")
    written.evidence.watched_until = {}

    assert found(written) == {"lost"}


def test_a_copy_that_is_answered_by_the_state_is_right() -> None:
    written = right()
    written.call(TENANT, "pause", OWNER, last(written), event=6, at=9.0)
    reply = written.evidence.calls[-1].reply
    assert reply is not None
    reply["event"] = None
    written.evidence.topics["replies"][-1] = written.evidence.topics["replies"][-1]._replace(
        value=json.dumps(reply).encode()
    )

    assert findings(written) == []


@pytest.mark.parametrize(
    ("tenant", "kind"),
    [
        pytest.param(TENANT, "resume", id="a resume of a paused tenant"),
        pytest.param(ENTIRE, "pause", id="a pause"),
        pytest.param(ENTIRE, "shutdown", id="a shutdown of a connected tenant"),
        pytest.param(ENTIRE, "reload", id="a reload of a connected tenant"),
    ],
)
def test_a_command_that_is_acknowledged_and_does_nothing_is_found(tenant: str, kind: str) -> None:
    written = connected()

    written.call(tenant, kind, OWNER, last(written))

    assert "lost" in found(written)


def test_a_connect_that_nobody_waits_for_and_that_does_nothing_is_found() -> None:
    written = right()

    written.call(ENTIRE, "connect", OWNER, last(written), wait="no")

    assert found(written) == {"lost"}


def test_a_command_that_is_taken_for_another_one_is_found() -> None:
    written = connected()
    written.send(ENTIRE, "resume", "c4")

    written.event(ENTIRE, OWNER, "c4", "connect.stopping", reason="requested")

    assert found(written) == {"meaning"}


def test_an_event_of_a_command_that_was_to_lead_to_nothing_is_found() -> None:
    written = connected()

    written.event(ENTIRE, OWNER, "c4", "connect.resumed")

    assert found(written) == {"meaning"}


def test_an_event_of_a_command_that_stands_elsewhere_is_found() -> None:
    written = right()
    written.send(OTHER, "status", "c4")
    record = written.evidence.topics["commands"][0]
    written.evidence.topics["commands"][0] = record._replace(partition=1)

    assert "meaning" in found(written)


def test_an_event_of_a_command_that_nobody_sent_is_found() -> None:
    written = right()

    del written.evidence.topics["commands"][1]

    assert "unasked" in found(written)


@pytest.mark.parametrize("kind", ["status", "check_health", "pause", "resume", "retry"])
def test_a_command_that_is_never_answered_is_found(kind: str) -> None:
    written = right()

    written.send(OTHER, kind, "c9")

    assert found(written) == {"lost"}


@pytest.mark.parametrize("kind", ["shutdown", "reload"])
def test_a_command_that_waits_and_of_which_nothing_ever_came_is_found(kind: str) -> None:
    written = connected()

    written.send(ENTIRE, kind, "c9")

    assert found(written) == {"lost"}


def test_a_command_that_nobody_waited_for_to_the_end_is_right_where_it_changes_nothing() -> None:
    written = connected()

    written.send(ENTIRE, "connect", "c9", wait="ready")

    assert findings(written) == []


def test_a_command_that_was_parked_has_its_outcome() -> None:
    written = connected()
    written.send(ENTIRE, "shutdown", "c9")

    written.evidence.topics["dead letters"] = written.evidence.topics["commands"][-1:]

    assert findings(written) == []


def refused(written: Written, call: int, code: str, **members: Any) -> None:
    """A client, and whoever reads the topic of replies, is told of a refusal instead."""
    reply = written.evidence.calls[call].reply
    assert reply is not None
    told = {**reply, "outcome": "error", "error": {"code": code}, "event": None, **members}
    written.evidence.calls[call].reply = told
    records = written.evidence.topics["replies"]
    records[call] = records[call]._replace(value=json.dumps(told).encode())


def test_an_owner_that_refuses_what_counts_is_found() -> None:
    written = right()

    refused(written, 2, "initializing")

    assert found(written) == {"denied"}


def test_a_router_that_refuses_what_counts_is_found() -> None:
    written = right()

    refused(written, 2, "invalid_command", claim=None, position=None, status=None)

    assert found(written) == {"denied"}


def test_a_command_that_is_refused_for_a_reason_that_is_none_is_found() -> None:
    written = connected()

    written.call(ENTIRE, "connect", OWNER, last(written), code="tenant_paused")

    assert found(written) == {"denied"}


ROUTED = {"claim": None, "position": None, "status": None}
"""What an answer has not that was given before an owner was asked."""


@pytest.mark.parametrize("given", [{}, ROUTED], ids=["its owner", "the router"])
@pytest.mark.parametrize("until", [None, "2030-01-01T12:00:01+00:00"])
def test_a_pause_that_is_refused_before_its_end_is_found(given: dict[str, None], until: str | None) -> None:
    written = right()
    written.call(ENTIRE, "pause", OWNER, last(written), until=until)

    refused(written, 4, "invalid_command", **given)

    assert found(written) == {"denied"}


@pytest.mark.parametrize("given", [{}, ROUTED], ids=["its owner", "the router"])
def test_a_pause_that_is_refused_after_its_end_is_right(given: dict[str, None]) -> None:
    written = right()
    written.call(ENTIRE, "pause", OWNER, last(written), until="2030-01-01T11:59:59+00:00")

    refused(written, 4, "invalid_command", **given)

    assert findings(written) == []


@pytest.mark.parametrize("given", [{}, ROUTED], ids=["its owner", "the router"])
def test_a_pause_that_counts_and_whose_copy_is_refused_is_found(given: dict[str, None]) -> None:
    written = right()

    refused(written, 0, "invalid_command", **given)

    assert found(written) == {"denied"}


def test_a_connect_that_is_acknowledged_before_its_tenant_is_ready_is_found() -> None:
    written = right()
    requested = written.event(ENTIRE, OWNER, "c4", "connect.requested")

    written.call(ENTIRE, "connect", OWNER, requested, event=requested)

    assert found(written) == {"untrue"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"lifecycle": "ready"},
        {"database": "up"},
        {"replication": "streaming"},
        {"occupancy": "used"},
        {"reason": "requested"},
        {"migrations": 3},
        {"tenant": OTHER},
        {"owner": {"claim": 0}},
        {"why": {"code": "resumed"}},
        {"deadlines": {"pause": "2031-01-01T00:00:00+00:00"}},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_status_that_says_something_else_than_the_log_is_found(wrong: dict[str, Any]) -> None:
    written = right()
    reply = written.evidence.calls[2].reply
    assert reply is not None

    reply["status"] = {**reply["status"], **wrong}

    assert found(written) == {"status"}
