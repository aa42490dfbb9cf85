from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest

from statemachine.events import Claimed, Event
from statemachine.machines import Lifecycle
from statemachine.partition import Verdict
from streams.errors import InputInvalid, LogCorrupt
from streams.history import History, export
from streams.settings import Settings
from tests.unit.history.lives import AWAY, PROVISIONED, READY, REQUESTED, STOPPED
from tests.unit.history.source import PARTITIONS, START, TOPIC, MemoryLog, tenant_in

FIRST, SECOND, OTHER = tenant_in(0), tenant_in(0, 1), tenant_in(1)


@pytest.fixture
def log() -> MemoryLog:
    """Two tenants in one partition and one in the other; a zombie wrote in between."""
    log = MemoryLog()
    log.claim(0, generation=1)
    log.claim(1, generation=1)
    log.append(FIRST, *READY)
    log.append(OTHER, REQUESTED)
    _, zombie = log.encode(FIRST, *AWAY[:1])
    log.claim(0, worker="w2", generation=2)
    log.put(0, FIRST.encode(), zombie)
    log.append(SECOND, REQUESTED)
    log.append(FIRST, *AWAY)
    return log


@pytest.fixture
def history(log: MemoryLog) -> History:
    return History(Settings(), log)


def test_every_record_is_given_in_order_and_void_ones_are_marked(history: History, log: MemoryLog) -> None:
    entries = list(history.entries())
    for partition in range(PARTITIONS):
        offsets = [entry.offset for entry in entries if entry.partition == partition]
        assert offsets == list(range(len(log.partitions[partition])))
    assert [(entry.partition, entry.offset) for entry in entries if entry.verdict is Verdict.VOID] == [(0, 5)]
    assert all(entry.topic == TOPIC for entry in entries)


def test_partitions_can_be_chosen_and_unknown_ones_are_refused(history: History) -> None:
    assert {entry.partition for entry in history.entries([1])} == {1}
    with pytest.raises(InputInvalid, match=r"not \[7\]"):
        list(history.entries([0, 7]))


def test_a_timeline_is_the_events_of_one_tenant_that_count(history: History) -> None:
    events = [entry.event for entry in history.timeline(FIRST)]
    assert [event.data for event in events if isinstance(event, Event)] == [*READY, *AWAY]
    assert [event.sequence for event in events if isinstance(event, Event)] == [1, 2, 3, 4, 5]
    assert history.timeline("somebody-else") == []


@pytest.mark.parametrize(
    ("sequence", "lifecycle"),
    [(0, "absent"), (1, "checking"), (2, "provisioning"), (3, "ready"), (4, "stopping"), (5, "absent"), (99, "absent")],
)
def test_a_tenant_is_replayed_until_a_sequence(history: History, sequence: int, lifecycle: str) -> None:
    state = history.replay(FIRST, sequence)[FIRST]
    assert (state.lifecycle.value, state.sequence) == (lifecycle, min(sequence, 5))


def test_a_replay_until_the_time_of_an_event_has_that_event_and_nothing_later(history: History) -> None:
    for entry in history.timeline(FIRST):
        assert isinstance(entry.event, Event)
        assert history.replay(FIRST, entry.time)[FIRST].sequence == entry.event.sequence
    assert history.replay(FIRST, START - timedelta(days=1))[FIRST].sequence == 0


def test_everybody_is_replayed_at_once(history: History, log: MemoryLog) -> None:
    assert history.replay() == {tenant: log.state(tenant) for tenant in (FIRST, SECOND, OTHER)}
    early = history.replay(until=START + timedelta(seconds=2))
    assert {name: state.lifecycle for name, state in early.items()} == {FIRST: Lifecycle.CHECKING}


def test_a_void_record_of_a_wrong_clock_ends_no_replay(log: MemoryLog, history: History) -> None:
    before = log.now
    log.now += timedelta(days=1)
    _, late = log.encode(FIRST, STOPPED, claim=0)
    log.put(0, FIRST.encode(), late)
    log.now = before
    log.append(FIRST, REQUESTED)
    assert history.replay(FIRST, before)[FIRST].lifecycle is Lifecycle.CHECKING


@pytest.mark.parametrize(
    ("tenant", "until"),
    [(None, 3), (FIRST, -1), (FIRST, START.replace(tzinfo=None)), (None, START.replace(tzinfo=None))],
)
def test_a_moment_that_means_nothing_is_refused(history: History, tenant: str | None, until: int) -> None:
    with pytest.raises(InputInvalid):
        history.replay(tenant, until)


def test_states_come_with_the_claim_that_holds_them(history: History) -> None:
    found = history.states()
    assert [state.tenant for state, _ in found] == sorted([FIRST, SECOND, OTHER])
    owners = {state.tenant: owner for state, owner in found}
    assert [(owner.worker, owner.offset) for owner in owners.values() if owner] == [
        ("w1", 0) if tenant == OTHER else ("w2", 4) for tenant in owners
    ]


def test_a_record_that_is_garbage_is_named_with_its_place(log: MemoryLog, history: History) -> None:
    log.put(1, b"x", b"garbage")
    with pytest.raises(LogCorrupt, match=rf"{TOPIC}:1:2"):
        list(history.entries())
    assert history.timeline(FIRST)


def test_an_illegal_event_is_named_with_its_place(log: MemoryLog, history: History) -> None:
    _, body = log.encode(OTHER, PROVISIONED)
    log.put(1, OTHER.encode(), body)
    with pytest.raises(LogCorrupt, match=rf"{TOPIC}:1:2: .*not permitted"):
        history.replay()


def test_following_from_the_start_gives_what_counts_and_then_what_is_appended(log: MemoryLog, history: History) -> None:
    follower = history.follow(start="start")
    seen = follower.poll()
    assert seen == [entry for entry in history.entries() if entry.counts]
    assert any(isinstance(entry.event, Claimed) for entry in seen)
    assert follower.poll() == []
    log.append(FIRST, REQUESTED)
    assert [entry.offset for entry in follower.poll()] == [9]


def test_following_from_now_gives_only_what_is_appended_and_counts(log: MemoryLog, history: History) -> None:
    follower = history.follow([FIRST])
    log.append(SECOND, *READY[1:])
    _, zombie = log.encode(FIRST, REQUESTED, claim=0)
    log.put(0, FIRST.encode(), zombie)
    log.append(FIRST, REQUESTED)
    assert [entry.offset for entry in follower.poll()] == [12]


def test_following_from_a_moment_begins_with_the_first_event_at_it(history: History) -> None:
    timeline = history.timeline(FIRST)
    assert history.follow([FIRST], timeline[3].time).poll() == timeline[3:]
    with pytest.raises(InputInvalid, match="no zone"):
        history.follow([FIRST], START.replace(tzinfo=None))


def test_an_export_is_the_bytes_of_what_counts(log: MemoryLog, history: History) -> None:
    lines = list(export(Settings(), source=log))
    assert [line.encode() for line in lines] == [entry.raw for entry in history.entries() if entry.counts]
    assert {json.loads(line)["specversion"] for line in lines} == {"1.0"}
    assert not any("\n" in line for line in lines)
    with pytest.raises(InputInvalid, match="'xml' is none of jsonl"):
        export(Settings(), "xml")


def test_reading_history_loads_nothing_that_could_act() -> None:
    program = "import sys, streams.history; print(*sorted(name for name in sys.modules if name.startswith('streams.')))"
    # The program is written here and run by this very interpreter.
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  see above
    loaded = run.stdout.split()
    acting = ("streams.worker", "streams.effects", "streams.tenantdb", "streams.engine", "streams.log.producer")
    assert "streams.history.history" in loaded
    assert [name for name in loaded if name.startswith(acting)] == []
