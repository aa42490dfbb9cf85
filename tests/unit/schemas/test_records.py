"""The schemas and the encoders and decoders say the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import event as note
from hypothesis import example, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from statemachine import TenantState
from statemachine.commands import COMMAND_TYPES, Connect, PauseTenant, Shutdown
from statemachine.events import (
    EVENT_TYPES,
    Claimed,
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectResumed,
    ConnectRetried,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    DatabaseRestored,
    LimitCleared,
    LimitReached,
    MigrationsFinished,
    OccupancyIdle,
    OccupancyUsed,
    PartitionsFailed,
    PartitionsRestored,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
    TenantEventData,
)
from statemachine.machines import DatabaseHealth, Lifecycle
from statemachine.state import Pause, ReplicationMode, Stop, StopReason
from streams.contract.models import ReplyModel, schema_of
from streams.contract.schemas import schemas
from streams.wire.broadcast import Broadcast, encode_broadcast
from streams.wire.command import ReplyTo, Request, Unreadable, decode_command, encode_command
from streams.wire.event import Origin, encode_claim, encode_event, source_of
from streams.wire.position import ResumePoint, encode_position
from streams.wire.reply import HealthStatus, Owner, Position, Reply, ReplyError, encode_reply, status_of

NOW = datetime(2030, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
BYTES_MAX = 1_000_000
SCHEMAS = schemas()
CHECKER = FormatChecker(formats=())

PAYLOADS: tuple[TenantEventData, ...] = (
    ConnectRequested("us-east-1", "local", None),
    ConnectChecked(-3, 5, 0, 12),
    ConnectProvisioned(70, ("2030-01-01", "2030-01-02"), 30),
    ConnectStopping(StopReason.REQUESTED, reconnect=True),
    ConnectStopped(StopReason.MIGRATIONS_FAILED, "MigrationsFailedToRun", "no"),
    ConnectPaused("because", "ada", NOW),
    ConnectResumed(),
    DatabaseLost(NOW, "x", "y"),
    DatabaseRestored(),
    ConnectRetried("mended", "ada"),
    ReplicationStarted("slot", ReplicationMode.DURABLE, "0/16B3748", "7000000000000000000", 1, 3, "0/16B3800"),
    ReplicationLost("ReplicationConnectionDown", "gone", NOW, NOW, "0/16B3748"),
    ReplicationPostponed("ReplicationSlotInUse", "held", NOW, NOW, None, "pid 7"),
    ReplicationGap("0/1", None, "another server", "inserted_at"),
    OccupancyUsed(3),
    OccupancyIdle(NOW),
    PartitionsFailed("2030-01-01", "no room"),
    PartitionsRestored("2030-01-01"),
    LimitReached(NOW),
    LimitCleared("the wait is over", "timer"),
    MigrationsFinished(2, 87, 14),
)


@CHECKER.checks("date-time", raises=ValueError)
def is_date_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value) is not None


def fits(name: str, value: Any) -> bool:
    return Draft202012Validator(SCHEMAS[name], format_checker=CHECKER).is_valid(value)


def is_accepted(body: bytes) -> bool:
    try:
        decode_command(b"t1", body, "topic:0:0", value_bytes_max=BYTES_MAX)
    except Unreadable:
        return False
    return True


def test_every_event_type_has_an_example_here() -> None:
    assert {payload.type for payload in PAYLOADS} | {Claimed.type} == set(EVENT_TYPES)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.type)
@pytest.mark.parametrize("previous", ["", "0" * 32])
@pytest.mark.parametrize("command_offset", [None, 7])
def test_events_as_they_are_written_fit_their_schema(
    payload: TenantEventData, previous: str, command_offset: int | None
) -> None:
    origin = Origin(source_of("local", 3), 0, "effect:test", command_offset)
    _, body = encode_event(TenantState("t1", hash=previous), payload, NOW, origin)
    record = json.loads(body)
    Draft202012Validator(SCHEMAS["event.json"], format_checker=CHECKER).validate(record)
    assert record["dataschema"] == schema_of(payload.type) == SCHEMAS[f"event.{payload.type}.json"]["$id"]
    assert fits(f"event.{payload.type}.json", record["data"])


@pytest.mark.parametrize(
    "member", ["specversion", "id", "source", "type", "data", "subject", "sequence", "claim", "hash"]
)
def test_an_event_without_one_of_its_members_does_not_fit(member: str) -> None:
    _, body = encode_event(TenantState("t1"), PAYLOADS[0], NOW, Origin(source_of("local", 3), 0, "effect:test"))
    record = json.loads(body)
    assert fits("event.json", record)
    del record[member]
    assert not fits("event.json", record)


def test_claims_as_they_are_written_fit_their_schema() -> None:
    record = json.loads(encode_claim(Claimed("w1", 3, 1), source=source_of("local", 3), time=NOW))
    assert fits("event.json", record)
    assert fits("event.connect.claimed.json", record["data"])


READY = TenantState("t1", Lifecycle.READY, DatabaseHealth.RECOVERING, sequence=4, since=NOW, recovery_until=NOW)
STOPPED = TenantState("t1", stop=Stop(StopReason.IDLE, None, ""), pause=Pause("", "", NOW), sequence=2)
REPLIES = {
    "ready": Reply(
        "c1", "t1", "ok", None, status_of(READY, Owner("w1", 0)), Position("e", 0, 4), Position("e", 0, 9), 0, NOW
    ),
    "stopped": Reply("c1", "t1", "ok", None, status_of(STOPPED, None), None, Position("e", 0, -1), 0, NOW),
    "refused": Reply("c1", "t1", "error", ReplyError("tenant_paused", "no", NOW), None, None, None, None, NOW),
    "healthy": Reply(
        "c1",
        "t1",
        "ok",
        None,
        status_of(READY, Owner("w1", 0)),
        None,
        Position("e", 0, 4),
        0,
        NOW,
        HealthStatus(True, True, True, 3, False, ("2030-01-01",), "local", "w1"),
    ),
    "unreadable": Reply("c1", None, "error", ReplyError("invalid_command", "no"), None, None, None, None, NOW),
}


@pytest.mark.parametrize("name", REPLIES)
def test_replies_as_they_are_written_fit_their_schema_and_model(name: str) -> None:
    body = encode_reply(REPLIES[name])
    Draft202012Validator(SCHEMAS["reply.json"], format_checker=CHECKER).validate(json.loads(body))
    read = json.loads(ReplyModel.model_validate_json(body).model_dump_json(exclude_defaults=True))
    assert read == json.loads(body)


@pytest.mark.parametrize(
    "command",
    [
        *(data() for data in COMMAND_TYPES.values()),
        Connect(timeout_ms=0),
        Shutdown(StopReason.IDLE),
        PauseTenant("a", "b", NOW),
    ],
)
@pytest.mark.parametrize("reply_to", [None, ReplyTo("connect.replies", 3)])
def test_commands_as_clients_write_them_fit_their_schema(command: Any, reply_to: ReplyTo | None) -> None:
    body = encode_command(Request("c1", "t1", command, reply_to))
    Draft202012Validator(SCHEMAS["command.json"], format_checker=CHECKER).validate(json.loads(body))
    assert is_accepted(body)


anything: st.SearchStrategy[Any] = st.sampled_from([None, True, False, -1, 0, 1, 1.5, "", "x", [], {}])
texts = st.one_of(st.text(max_size=5), st.integers(1990, 2010).map("x".__mul__), anything)
times = st.one_of(st.sampled_from(["2030-01-01T00:00:00Z", "2030-01-01T00:00:00.5+02:00", "tomorrow"]), anything)
addresses = st.one_of(
    st.fixed_dictionaries(
        {}, optional={"topic": texts, "partition": st.one_of(st.integers(-1, 3), anything), "x": anything}
    ),
    anything,
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "wait": st.one_of(st.sampled_from(["ready", "streaming", "no", "maybe"]), anything),
    "timeout_ms": st.one_of(st.integers(-1, 700_000), anything),
    "requested_by": texts,
    "reason": st.one_of(st.sampled_from(list(StopReason)).map(str), texts),
    "author": texts,
    "until": times,
    "unknown": anything,
}
ids = st.one_of(st.integers(126, 130).map("i".__mul__), st.just("é" * 128), anything)


@st.composite
def commands(draw: st.DrawFn) -> dict[str, Any]:
    """A command, right or wrong in one field or some; few fields at a time, so that both are common."""
    fields = draw(st.lists(st.sampled_from(list(FIELDS)), max_size=2, unique=True))
    data = draw(st.one_of(st.fixed_dictionaries({name: FIELDS[name] for name in fields}), anything))
    envelope = {
        "id": ids,
        "tenant": st.sampled_from([None, "t1", 7]),
        "reply_to": addresses,
        "at": times,
        "x": anything,
    }
    chosen = draw(st.lists(st.sampled_from(list(envelope)), max_size=2, unique=True))
    record: dict[str, Any] = {name: draw(envelope[name]) for name in chosen}
    kind = draw(st.one_of(st.sampled_from(list(COMMAND_TYPES)), st.sampled_from(list(COMMAND_TYPES)), anything))
    return {"type": kind, **record, **({"data": data} if draw(st.booleans()) else {})}


@examples(max_examples=400, deadline=None, database=None)
@example({"type": "connect"})
@example({})
@example({"type": "pause", "data": {"until": None}})
@given(commands())
def test_what_the_owner_accepts_is_what_fits_the_schema(record: dict[str, Any]) -> None:
    accepted = is_accepted(json.dumps(record).encode())
    note(f"accepted: {accepted}")
    assert accepted == fits("command.json", record)


@pytest.mark.parametrize(
    ("report", "is_right"),
    [
        ({"gateway": "g1", "users": 0}, True),
        ({"gateway": "g1", "users": 12, "ttl_ms": 60000}, True),
        ({"gateway": "g1", "users": -1}, False),
        ({"gateway": "", "users": 1}, False),
        ({"users": 1}, False),
        ({"gateway": "g1", "users": 1, "ttl_ms": 0}, False),
        ({"gateway": "g1", "users": 1, "more": 1}, False),
    ],
)
def test_reports_of_users_fit_or_do_not(report: dict[str, Any], is_right: bool) -> None:
    assert fits("user-report.json", report) is is_right


@pytest.mark.parametrize("payload", [{"payload": msgspec.Raw(b'{"a":1}')}, {"payload_base64": b"\x00\xff"}])
def test_broadcasts_as_they_are_written_fit_their_schema(payload: dict[str, Any]) -> None:
    broadcast = Broadcast("t1", "room:1", "greeting", True, "id", NOW, "0/16B3748", 0, 7, **payload)
    assert fits("broadcast.json", json.loads(encode_broadcast(broadcast)))


def test_resume_points_as_they_are_written_fit_their_schema() -> None:
    point = ResumePoint("t1", 7, 2**40, 23, "7000000000000000000", 1, NOW)
    assert fits("position.json", json.loads(encode_position(point)))
