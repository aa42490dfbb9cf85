from __future__ import annotations

from datetime import timedelta

import pytest

from statemachine.events import Event
from streams.history import AuditReport, verify
from streams.history.audit import CODES, TIME_BACKWARDS
from streams.settings import Settings
from streams.wire.event import HASH_BYTES, hash_of
from tests.unit.history.lives import AWAY, CHECKED, PROVISIONED, READY, REQUESTED, STOPPED
from tests.unit.history.source import PARTITIONS, TOPIC, MemoryLog, tenant_in

TENANT, NEIGHBOUR, OTHER = tenant_in(0), tenant_in(0, 1), tenant_in(1)
HASH_AND_END = 2 * HASH_BYTES + len('"}')


@pytest.fixture
def log() -> MemoryLog:
    """A claim, and a tenant that is being connected."""
    log = MemoryLog()
    log.claim(0)
    log.append(TENANT, REQUESTED, command_offset=5)
    return log


def found(log: MemoryLog) -> list[tuple[str, int, int, str]]:
    return [(finding.topic, finding.partition, finding.offset, finding.code) for finding in audit(log).findings]


def audit(log: MemoryLog) -> AuditReport:
    report = verify(Settings(), log)
    assert {finding.code for finding in report.findings} <= set(CODES)
    return report


def resealed(body: bytes) -> bytes:
    """The bytes with the hash that belongs to them."""
    return body[:-HASH_AND_END] + hash_of(body).encode() + b'"}'


def smuggle(log: MemoryLog, body: bytes, tenant: str = TENANT, partition: int = 0) -> None:
    log.put(partition, tenant.encode(), body)


def test_a_log_that_owners_wrote_is_clean_and_zombies_are_no_finding(log: MemoryLog) -> None:
    _, zombie = log.encode(TENANT, CHECKED)
    log.claim(0, worker="w2", generation=2)
    smuggle(log, zombie)
    log.claim(0, worker="w1", generation=1)
    log.claim(1)
    report = audit(log)
    assert (report.records, report.valid, report.void, report.tenants) == (6, 3 + 1, 2, 1)
    assert report.clean
    assert report.notes == ()


def test_an_empty_log_is_clean() -> None:
    assert verify(Settings(), MemoryLog()) == AuditReport(0, 0, 0, 0, ())


@pytest.mark.parametrize("garbage", [b"garbage", b"", None, b'{"specversion":"1.0"}', b"\xff"])
def test_a_record_that_cannot_be_read(log: MemoryLog, garbage: bytes | None) -> None:
    log.put(0, b"x", garbage)
    log.append(TENANT, CHECKED)
    report = audit(log)
    assert found(log) == [(TOPIC, 0, 2, "unreadable")]
    assert (report.records, report.valid) == (4, 3)


def test_bytes_that_were_changed_do_not_have_their_hash(log: MemoryLog) -> None:
    event, body = log.encode(TENANT, CHECKED)
    smuggle(log, body.replace(b'"available":90', b'"available":91'))
    log.lose(event)
    log.append(TENANT, PROVISIONED)
    assert found(log) == [(TOPIC, 0, 2, "hash_mismatch")]


def test_an_event_changed_and_sealed_again_breaks_the_chain_behind_it(log: MemoryLog) -> None:
    event, body = log.encode(TENANT, CHECKED)
    smuggle(log, resealed(body.replace(b'"available":90', b'"available":91')))
    log.lose(event)
    log.append(TENANT, PROVISIONED, *AWAY)
    assert found(log) == [(TOPIC, 0, 3, "chain_broken")]


def test_a_forged_event_beside_the_chain_is_found_and_the_true_chain_goes_on(log: MemoryLog) -> None:
    _, forged = log.encode(TENANT, CHECKED, state=log.state(TENANT)._replace(hash="0" * 2 * HASH_BYTES))
    smuggle(log, forged)
    log.append(TENANT, CHECKED, PROVISIONED)
    assert found(log) == [(TOPIC, 0, 2, "chain_broken")]


def test_a_lost_event_leaves_a_gap_and_is_found_once(log: MemoryLog) -> None:
    lost, _ = log.encode(TENANT, CHECKED)
    log.lose(lost)
    log.append(TENANT, PROVISIONED, *AWAY, *READY)
    assert found(log) == [(TOPIC, 0, 2, "sequence_gap"), (TOPIC, 0, 2, "chain_broken")]


def test_behind_a_gap_the_state_is_known_again_after_a_stop(log: MemoryLog) -> None:
    lost, _ = log.encode(TENANT, CHECKED)
    log.lose(lost)
    log.append(TENANT, PROVISIONED, *AWAY)
    _, illegal = log.encode(TENANT, PROVISIONED)
    smuggle(log, illegal)
    assert found(log)[2:] == [(TOPIC, 0, 5, "illegal_event")]


def test_an_event_that_its_state_does_not_permit(log: MemoryLog) -> None:
    _, illegal = log.encode(TENANT, PROVISIONED)
    smuggle(log, illegal)
    assert found(log) == [(TOPIC, 0, 2, "illegal_event")]


def test_a_command_that_led_to_a_second_event(log: MemoryLog) -> None:
    _, repeated = log.encode(TENANT, CHECKED, command_offset=5)
    smuggle(log, repeated)
    assert found(log) == [(TOPIC, 0, 2, "command_repeated")]


@pytest.mark.parametrize("claim", [-1, 1, 3, 99])
def test_an_event_under_a_claim_that_is_none(log: MemoryLog, claim: int) -> None:
    _, strange = log.encode(TENANT, CHECKED, claim=claim)
    smuggle(log, strange)
    log.claim(0, worker="w2", generation=2)
    assert found(log) == [(TOPIC, 0, 2, "claim_unknown")]
    assert audit(log).void == 1


@pytest.mark.parametrize("key", [None, NEIGHBOUR.encode()])
def test_an_event_under_another_key_than_its_tenant(log: MemoryLog, key: bytes | None) -> None:
    _, body = log.encode(TENANT, CHECKED)
    log.put(0, key, body)
    assert found(log) == [(TOPIC, 0, 2, "key_mismatch")]


def test_a_claim_with_a_key(log: MemoryLog) -> None:
    log.claim(1, key=b"t1")
    assert found(log) == [(TOPIC, 1, 0, "key_mismatch")]


def test_a_tenant_in_a_partition_it_does_not_belong_to(log: MemoryLog) -> None:
    log.claim(1)
    _, body = log.encode(NEIGHBOUR, REQUESTED, partition=1)
    smuggle(log, body, NEIGHBOUR, 1)
    assert found(log) == [(TOPIC, 1, 1, "wrong_partition")]


def test_an_event_that_names_another_partition_as_its_source(log: MemoryLog) -> None:
    _, body = log.encode(TENANT, CHECKED)
    smuggle(log, resealed(body.replace(b"/connect/local/0", b"/connect/local/1")))
    assert found(log) == [(TOPIC, 0, 2, "source_unexpected")]


def test_an_event_with_an_id_of_its_own(log: MemoryLog) -> None:
    _, body = log.encode(TENANT, CHECKED)
    smuggle(log, resealed(body.replace(f'"id":"{TENANT}/2@0"'.encode(), b'"id":"anything"')))
    assert found(log) == [(TOPIC, 0, 2, "id_unexpected")]


@pytest.mark.parametrize(
    ("was", "is_now"), [(b'"specversion":"1.0"', b'"specversion":"0.3"'), (b'"dataschema"', b'"otherschema"')]
)
def test_a_record_that_is_no_cloudevent_of_the_contract(log: MemoryLog, was: bytes, is_now: bytes) -> None:
    _, body = log.encode(TENANT, CHECKED)
    smuggle(log, resealed(body.replace(was, is_now)))
    assert found(log) == [(TOPIC, 0, 2, "envelope_invalid")]


def test_records_that_are_missing_between_before_and_behind(log: MemoryLog) -> None:
    log.claim(1)
    log.append(OTHER, *READY)
    del log.partitions[1][2]
    log.ends = {0: 4, 1: 4}
    assert [one for one in found(log) if one[3] == "offset_gap"] == [
        (TOPIC, 0, 2, "offset_gap"),
        (TOPIC, 1, 3, "offset_gap"),
    ]
    del log.partitions[0][0]
    assert (TOPIC, 0, 1, "offset_gap") in found(log)


def test_a_time_before_the_last_one_is_a_note_and_no_finding(log: MemoryLog) -> None:
    log.now -= timedelta(hours=1)
    log.append(TENANT, CHECKED)
    report = audit(log)
    assert report.clean
    assert [(note.partition, note.offset, note.code) for note in report.notes] == [(0, 2, TIME_BACKWARDS)]


def test_a_finding_keeps_nobody_else_from_being_checked(log: MemoryLog) -> None:
    log.claim(1)
    log.put(0, b"x", b"garbage")
    for tenant, partition in ((TENANT, 0), (NEIGHBOUR, 0), (OTHER, 1)):
        _, illegal = log.encode(tenant, STOPPED if tenant != TENANT else REQUESTED)
        smuggle(log, illegal, tenant, partition)
    log.append(NEIGHBOUR, *READY)
    report = audit(log)
    assert [(finding.partition, finding.offset, finding.code) for finding in report.findings] == [
        (0, 2, "unreadable"),
        (0, 3, "illegal_event"),
        (0, 4, "illegal_event"),
        (1, 1, "illegal_event"),
    ]
    assert (report.tenants, report.records) == (2, sum(len(log.partitions[number]) for number in range(PARTITIONS)))


def test_each_finding_says_what_was_found_and_what_was_due(log: MemoryLog) -> None:
    lost, _ = log.encode(TENANT, CHECKED)
    assert isinstance(lost, Event)
    log.lose(lost)
    log.append(TENANT, PROVISIONED)
    gap, chain = audit(log).findings
    assert gap.message == f"sequence 3 of tenant {TENANT!r} where 2 was due"
    assert lost.hash in chain.message


def test_forged_events_that_follow_one_another_do_not_lead_the_audit_away_from_the_true_chain(log: MemoryLog) -> None:
    elsewhere = log.state(TENANT)._replace(hash="0" * 2 * HASH_BYTES)
    first, body = log.encode(TENANT, CHECKED, state=elsewhere)
    smuggle(log, body)
    log.append(TENANT, CHECKED)
    _, second = log.encode(TENANT, PROVISIONED, state=elsewhere._replace(sequence=2, hash=first.hash))
    smuggle(log, second)
    log.append(TENANT, PROVISIONED)
    assert found(log) == [(TOPIC, 0, 2, "chain_broken"), (TOPIC, 0, 4, "chain_broken")]
