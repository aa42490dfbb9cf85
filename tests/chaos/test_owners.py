"""Who holds what, against the log: sessions of deposed owners, locks that two have, partitions claimed for nothing."""

from __future__ import annotations

import json

from tests.chaos.checker import check
from tests.chaos.evidence import Life, Session
from tests.chaos.histories import BEGAN, OTHER, PARTITIONS, TENANT, Written, right

OLDER, NEWER = 0, 3
"""The two claims that count in the history in which everything is right; the newer one stands there after 3 s."""

CLAIMED_S = 3.0


def found(written: Written) -> set[str]:
    return {finding.rule for finding in check(written.evidence, PARTITIONS)}


def test_sessions_of_two_claims_beside_each_other_are_found_though_neither_has_the_lock() -> None:
    written = right()

    written.sight(OTHER, 3.0, 54.0, Session(11, OLDER, holder=False), Session(21, NEWER, holder=False))

    assert found(written) == {"two owners"}


def test_a_deposed_owner_that_keeps_the_lock_is_found_though_the_newer_one_never_had_it() -> None:
    written = right()

    written.sight(OTHER, 0.0, 60.0, Session(11, OLDER, holder=True))

    assert found(written) == {"two owners"}


def test_a_deposed_owner_that_comes_and_goes_is_found() -> None:
    written = right()

    for second in range(20):
        written.sight(OTHER, second, second + 0.5, Session(100 + second, OLDER, holder=False))
        written.sight(OTHER, second + 0.5, second + 1.0)

    assert found(written) == {"two owners"}


def test_sessions_of_a_deposed_owner_may_take_a_moment_to_end() -> None:
    written = right()

    written.sight(OTHER, 0.0, CLAIMED_S + 5.0, Session(11, OLDER, holder=True))

    assert found(written) == set()


def test_the_time_in_which_the_network_is_cut_does_not_count_for_sessions() -> None:
    written = right()
    written.evidence.upsets += [(BEGAN + 4.0, BEGAN + 40.0), (BEGAN + 30.0, BEGAN + 50.0)]

    written.sight(OTHER, 0.0, 54.0, Session(11, OLDER, holder=True))

    assert found(written) == set()


def test_a_lock_that_two_sessions_have_is_found() -> None:
    written = right()

    written.sight(OTHER, 4.0, 9.0, Session(21, NEWER, holder=True), Session(22, NEWER, holder=True))

    assert found(written) == {"two owners"}


def test_more_sessions_than_one_owner_needs_are_found() -> None:
    written = right()

    sessions = [Session(pid, NEWER, holder=pid == 20) for pid in range(20, 24)]
    written.sight(OTHER, 4.0, 9.0, *sessions)

    assert found(written) == {"doubled"}


def reclaimed() -> Written:
    """The second owner claims once more in a rebalance, and has held the partition all the time."""
    written = right()
    again = written.claim(4, worker="w2")
    written.evidence.watched_until = {}
    written.evidence.lives["w2"] = [Life(7, frozen=False, first=BEGAN, last=BEGAN + 30.0)]
    for claim in (NEWER, again):
        say(written, event="partition.claimed", partition=0, claim=claim)
        say(written, event="worker.ready", partitions=[0])
    return written


def say(written: Written, **line: object) -> None:
    """The second owner writes a line to its log."""
    written.evidence.logs["w2"] = written.evidence.logs.get("w2", b"") + json.dumps(line).encode() + b"\n"


def test_a_partition_that_its_owner_keeps_and_claims_again_is_found() -> None:
    assert found(reclaimed()) == {"reclaimed"}


def test_a_partition_may_be_claimed_again_by_another_process() -> None:
    written = reclaimed()

    written.evidence.lives["w2"] = [
        Life(7, frozen=False, first=BEGAN, last=BEGAN + 6.0),
        Life(8, frozen=False, first=BEGAN + 6.5, last=BEGAN + 30.0),
    ]

    assert found(written) == set()


def test_a_partition_may_be_claimed_again_by_a_process_that_starts_right_after_the_claim_of_the_one_before() -> None:
    written = reclaimed()

    written.evidence.lives["w2"] = [
        Life(7, frozen=False, first=BEGAN, last=BEGAN + CLAIMED_S + 0.2),
        Life(8, frozen=False, first=BEGAN + CLAIMED_S + 0.3, last=BEGAN + 30.0),
    ]

    assert found(written) == set()


def test_a_partition_may_be_claimed_again_by_a_worker_that_stood_still() -> None:
    written = reclaimed()

    written.evidence.lives["w2"] = [Life(7, frozen=True, first=BEGAN, last=BEGAN + 30.0)]

    assert found(written) == set()


def test_a_partition_may_be_claimed_again_after_kafka_was_harmed() -> None:
    written = reclaimed()

    written.evidence.upsets.append((BEGAN + 4.0, BEGAN + 5.0))

    assert found(written) == set()


def test_a_partition_may_be_claimed_again_after_it_had_moved() -> None:
    written = reclaimed()
    lines = written.evidence.logs["w2"].splitlines(keepends=True)

    written.evidence.logs["w2"] = b"".join([*lines[:2], b'{"event": "worker.ready", "partitions": []}\n', *lines[2:]])

    assert found(written) == set()


def test_a_tenant_is_not_reopened_where_its_owner_is_another_one() -> None:
    written = right()

    written.sight(TENANT, 9.0, 9.5, Session(20, NEWER, holder=True))

    assert found(written) == set()
