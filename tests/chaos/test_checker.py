"""The checker finds nothing where all is right, and each wrong thing by its name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import check
from tests.chaos.evidence import Evidence, Migrated, Raw, Row, Session
from tests.chaos.histories import BEGAN, OTHER, PARTITIONS, PASSWORD, TENANT, Written, right, sealed
from tests.chaos.outcomes import IDS_REMEMBERED

Harm = Callable[[Written], None]


def found(evidence: Evidence) -> set[str]:
    """The rules that are broken."""
    return {finding.rule for finding in check(evidence, PARTITIONS)}


def changed(written: Written, offset: int, *, seal: bool = True, **members: Any) -> None:
    """A record of the log says something else, and carries the right hash of that unless it is not to be sealed."""
    record = written.evidence.events[offset]
    body = {**json.loads(record.value or b""), **members}
    digest = body.pop("hash")
    value = sealed(body) if seal else json.dumps({**body, "hash": digest}, separators=(",", ":")).encode()
    written.evidence.events[offset] = record._replace(value=value)


def reply(written: Written, call: int, **members: Any) -> None:
    """A client was told something else."""
    given = written.evidence.calls[call].reply
    assert given is not None
    written.evidence.calls[call].reply = {**given, **members}


def status(written: Written, call: int, **members: Any) -> None:
    """A client was shown another status."""
    given = written.evidence.calls[call].reply
    assert given is not None
    reply(written, call, status={**given["status"], **members})


def _event_lost(written: Written) -> None:
    """The first event of the second owner is missing, and what follows moves up."""
    records = written.evidence.events
    records[6:] = [record._replace(offset=record.offset - 1) for record in records[7:]]


def _record_missing(written: Written) -> None:
    del written.evidence.events[4]


def _acknowledged_void(written: Written) -> None:
    """The frozen owner answered for the event that it wrote."""
    reply(written, 2, event={"topic": "events", "partition": 0, "offset": 4}, claim=0, position=_place(4))


def _answered_when_deposed(written: Written) -> None:
    reply(written, 1, position=_place(4))


def _stale(written: Written) -> None:
    status(written, 1, sequence=1)


def _from_nowhere(written: Written) -> None:
    status(written, 2, sequence=9)


def _backwards(written: Written) -> None:
    """Somebody asks later and is shown less, by an answer that vouches for less."""
    status(written, 2, sequence=1)
    reply(written, 2, position=_place(1), claim=0, event=None)


def _another_event(written: Written) -> None:
    reply(written, 3, event={"topic": "events", "partition": 0, "offset": 6})


def _without_proof(written: Written) -> None:
    reply(written, 3, position=None)


def _twice(written: Written) -> None:
    written.event(TENANT, 3, "c2")


def _acknowledged_without_event(written: Written) -> None:
    changed(written, 7, causationid="effect:other")
    reply(written, 3, event=None)


def _no_outcome(written: Written) -> None:
    written.send(OTHER, "status", "c9")


def _zombie_counted(written: Written) -> None:
    assert written.evidence.watched is not None
    written.evidence.watched.add((0, 4))


def _not_shown(written: Written) -> None:
    assert written.evidence.watched is not None
    written.evidence.watched.remove((0, 2))


def _shown_nothing(written: Written) -> None:
    written.evidence.watched = set()


def _stuck_after_the_first(written: Written) -> None:
    written.evidence.watched = {(0, 0)}


def _row_lost(written: Written) -> None:
    written.evidence.committed[TENANT].add("c")


def _row_not_heard(written: Written) -> None:
    del written.evidence.delivered[TENANT][0]


def _row_of_a_deposed_owner(written: Written) -> None:
    """It was committed, and stands on the topic only behind rows of a newer claim."""
    written.evidence.committed[TENANT].add("c")
    written.put("broadcasts", TENANT, {"tenant": TENANT, "id": "c", "claim": 0, "lsn": "0/20", "ordinal": 0})
    written.evidence.delivered[TENANT].append(Row("c", 3, "0/20", 0))


def _row_of_nobody(written: Written) -> None:
    written.evidence.delivered[TENANT].append(Row("x", 3, "0/20", 0))


def _rows_out_of_order(written: Written) -> None:
    written.evidence.delivered[TENANT].append(Row("b", 3, "0/0E", 0))


def _two_sessions(written: Written) -> None:
    """The older owner's session goes on for seconds beside the newer one's."""
    written.sight(TENANT, 9.0, 14.0, Session(10, 0, holder=False), Session(20, 3, holder=True))


def _lock_regained(written: Written) -> None:
    written.sight(TENANT, 9.0, 14.0, Session(30, 0, holder=True))


def _lock_without_claim(written: Written) -> None:
    written.sight(TENANT, 9.0, 9.1, Session(30, 5, holder=True))


def _reopened(written: Written) -> None:
    written.sight(TENANT, 9.0, 9.1, Session(21, 3, holder=True))


def _left_behind(written: Written) -> None:
    written.evidence.sessions_left.add(TENANT)


def _wal_held(written: Written) -> None:
    written.evidence.held += [(moment / 2, "slot", 80_000_000) for moment in range(40)]


def _secret_on_a_topic(written: Written) -> None:
    written.put("positions", TENANT, {"password": PASSWORD.decode()})


def _secret_in_a_log(written: Written) -> None:
    written.evidence.logs["w1"] += PASSWORD


def _lifted_early(written: Written) -> None:
    changed(written, 2, time="2030-01-01T12:00:01+00:00")


def _audit_finds(written: Written) -> None:
    assert written.evidence.audit is not None
    written.evidence.audit.append("sequence_gap at 3")


def _newcomers(written: Written, *, told: int = 2, **found: Any) -> None:
    """Two tenants were migrated, the second one by a worker that was killed meanwhile."""
    peaceful = Migrated(versions=(1, 2), made=("CREATE TABLE a", "CREATE TABLE b"), free=True)
    for number, tenant in enumerate(("m_peaceful", "m_killed")):
        written.event(tenant, 3, f"effect:check {number}", "connect.checked", migrations_on_database=0)
        run = told if tenant == "m_killed" else 2
        written.event(tenant, 3, f"effect:provision {number}", "connect.provisioned", migrations_run=run)
        written.evidence.migrated[tenant] = peaceful
    written.evidence.migrated["m_killed"] = peaceful._replace(**found)
    written.evidence.interrupted["m_killed"] = True


def _migrated_twice(written: Written) -> None:
    _newcomers(written, made=("CREATE TABLE a", "CREATE TABLE b", "CREATE TABLE b"))


def _interrupted_too_late(written: Written) -> None:
    _newcomers(written)
    written.evidence.interrupted["m_killed"] = False


def _place(offset: int) -> dict[str, Any]:
    return {"topic": "events", "partition": 0, "offset": offset}


WRONG: dict[str, tuple[Harm, str]] = {
    "an event that counts is lost": (_event_lost, "lost"),
    "a record is missing": (_record_missing, "hole"),
    "a sequence has a gap": (lambda written: changed(written, 6, sequence=4), "sequence"),
    "a chain is broken": (lambda written: changed(written, 6, previoushash="0" * 32), "chain"),
    "bytes were changed": (lambda written: changed(written, 7, seal=False, type="connect.resumed"), "hash"),
    "an acknowledged event does not count": (_acknowledged_void, "void"),
    "a deposed owner answers": (_answered_when_deposed, "deposed"),
    "an answer misses what it vouches for": (_stale, "stale"),
    "an answer shows what never counted": (_from_nowhere, "void"),
    "an answer goes back": (_backwards, "backwards"),
    "an answer names another command's event": (_another_event, "void"),
    "an answer proves nothing": (_without_proof, "unproved"),
    "a command leads to two events": (_twice, "twice"),
    "an acknowledged command has no event": (_acknowledged_without_event, "lost"),
    "a command has no outcome": (_no_outcome, "lost"),
    "a client is shown a void event": (_zombie_counted, "readers"),
    "a client is not shown what counts": (_not_shown, "readers"),
    "a client is shown nothing at all": (_shown_nothing, "readers"),
    "a client is shown nothing after the first record": (_stuck_after_the_first, "readers"),
    "a row is lost": (_row_lost, "row"),
    "a row is on the topic and not heard": (_row_not_heard, "row"),
    "a row is sent by a deposed owner alone": (_row_of_a_deposed_owner, "row"),
    "a row was never committed": (_row_of_nobody, "phantom"),
    "rows are out of order": (_rows_out_of_order, "row order"),
    "two owners hold sessions": (_two_sessions, "two owners"),
    "an older owner has the lock again": (_lock_regained, "two owners"),
    "a lock is held under a claim that does not count": (_lock_without_claim, "no owner"),
    "a tenant that nothing happened to is opened again": (_reopened, "reopened"),
    "sessions outlive all workers": (_left_behind, "sessions"),
    "a slot holds too much WAL for long": (_wal_held, "wal"),
    "a secret is on a topic": (_secret_on_a_topic, "secret"),
    "a secret is in a log": (_secret_in_a_log, "secret"),
    "a deadline is acted on too early": (_lifted_early, "deadline"),
    "a migration is missing": (lambda written: _newcomers(written, told=1, versions=(1,)), "migrations"),
    "a migration took effect twice": (_migrated_twice, "migrations"),
    "the lock of migrations is held": (lambda written: _newcomers(written, free=False), "migrations"),
    "a wrong number of migrations is told": (lambda written: _newcomers(written, told=1), "migrations"),
    "a worker was killed when it migrated no more": (_interrupted_too_late, "migrations"),
    "a fault met nobody whom it could harm": (lambda written: written.evidence.unmet.append("frozen"), "vacuous"),
    "the audit finds something": (_audit_finds, "audit"),
}


def test_nothing_is_found_where_all_is_right() -> None:
    assert check(right().evidence, PARTITIONS) == []


@pytest.mark.parametrize("wrong", WRONG)
def test_each_wrong_thing_is_found(wrong: str) -> None:
    harm, rule = WRONG[wrong]
    written = right()

    harm(written)

    assert rule in found(written.evidence)


def test_nothing_is_found_where_a_killed_worker_left_what_a_peaceful_one_leaves() -> None:
    written = right()

    _newcomers(written)

    assert found(written.evidence) == set()


def test_a_session_may_be_opened_again_where_its_database_was_disturbed() -> None:
    written = right()
    _reopened(written)

    written.evidence.database_faults.append((BEGAN + 8.0, BEGAN + 10.0))

    assert found(written.evidence) == set()


def test_a_row_that_is_not_json_is_a_finding_and_no_crash() -> None:
    written = right()

    written.evidence.events.append(Raw(0, len(written.evidence.events), 0, None, b"\x00"))

    assert found(written.evidence) == {"unreadable"}


def test_a_copy_that_comes_after_more_commands_than_are_remembered_is_a_new_command() -> None:
    written = right()
    for number in range(IDS_REMEMBERED):
        written.event(TENANT, 3, f"more-{number}")

    written.event(TENANT, 3, "c2")

    assert "twice" not in found(written.evidence)
