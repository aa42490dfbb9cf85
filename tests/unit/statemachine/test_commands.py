"""The payloads as they come over the wire: read strictly, bounded, and with a time zone wherever there is a time."""

from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import TypeAdapter, ValidationError

from statemachine import Terms, errors
from statemachine.commands import COMMAND_TYPES, Command, Connect, PauseTenant, Retry, Shutdown, Wait
from statemachine.events import EVENT_TYPES, Claimed, DatabaseLost, LimitReached, OccupancyIdle
from statemachine.limits import CONNECT_TIMEOUT_MS_MAX, DATABASE_RECOVERY_WINDOW, TEXT_LENGTH_MAX
from statemachine.state import StopReason


def _read(command: type[Command], text: str) -> object:
    return TypeAdapter(command).validate_json(text)


@pytest.mark.parametrize("command", COMMAND_TYPES.values())
def test_every_command_can_be_given_without_data(command: type[Command]) -> None:
    assert _read(command, "{}") == command()


@pytest.mark.parametrize("command", COMMAND_TYPES.values())
def test_an_unknown_field_of_a_command_is_refused(command: type[Command]) -> None:
    with pytest.raises(ValidationError):
        _read(command, '{"nonsense": 1}')


def test_the_types_are_those_of_the_contract() -> None:
    assert set(COMMAND_TYPES) == {
        "connect",
        "status",
        "shutdown",
        "reload",
        "check_health",
        "pause",
        "resume",
        "retry",
    }
    assert all(name == payload.type for name, payload in {**COMMAND_TYPES, **EVENT_TYPES}.items())


@pytest.mark.parametrize(
    ("command", "text", "expected"),
    [
        (Connect, '{"wait": "no", "timeout_ms": 0}', Connect(Wait.NO, 0)),
        (Connect, f'{{"timeout_ms": {CONNECT_TIMEOUT_MS_MAX}}}', Connect(timeout_ms=CONNECT_TIMEOUT_MS_MAX)),
        (Shutdown, '{"reason": "rebalancing"}', Shutdown(StopReason.REBALANCING)),
        (PauseTenant, f'{{"reason": "{"x" * TEXT_LENGTH_MAX}"}}', PauseTenant("x" * TEXT_LENGTH_MAX)),
        (Retry, '{"reason": "the slot is free", "author": "ada"}', Retry("the slot is free", "ada")),
    ],
)
def test_data_within_its_bounds_is_read(command: type[Command], text: str, expected: Command) -> None:
    assert _read(command, text) == expected


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (Connect, '{"wait": "later"}'),
        (Connect, '{"timeout_ms": -1}'),
        (Connect, f'{{"timeout_ms": {CONNECT_TIMEOUT_MS_MAX + 1}}}'),
        (Connect, '{"timeout_ms": "15"}'),
        (Connect, '{"timeout_ms": 1.5}'),
        (Shutdown, '{"reason": "because"}'),
        (PauseTenant, f'{{"reason": "{"x" * (TEXT_LENGTH_MAX + 1)}"}}'),
        (PauseTenant, '{"until": 1900000000}'),
        (PauseTenant, '{"until": "tomorrow"}'),
        (Retry, f'{{"author": "{"x" * (TEXT_LENGTH_MAX + 1)}"}}'),
    ],
)
def test_data_out_of_its_bounds_is_refused(command: type[Command], text: str) -> None:
    with pytest.raises(ValidationError):
        _read(command, text)


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (PauseTenant, '{"until": "2030-01-01T00:00:00"}'),
        (EVENT_TYPES["connect.paused"], '{"until": "2030-01-01T00:00:00"}'),
        (DatabaseLost, '{"recovery_until": "2030-01-01T00:00:00"}'),
        (LimitReached, '{"retry_at": "2030-01-01T00:00:00"}'),
        (OccupancyIdle, '{"shutdown_at": "2030-01-01T00:00:00"}'),
    ],
)
def test_a_time_without_its_zone_is_refused(payload: type[object], text: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(payload).validate_json(text)


def test_the_defaults_are_those_of_the_contract() -> None:
    assert Connect() == Connect(Wait.READY, 15_000, None)
    assert timedelta(minutes=10) == DATABASE_RECOVERY_WINDOW == Terms().database_recovery_window
    assert Shutdown().reason is StopReason.REQUESTED


def test_a_claim_counts_from_zero() -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Claimed).validate_json('{"worker": "w1", "generation": -1}')


def test_every_refusal_has_a_code_a_meaning_and_a_remedy_of_its_own() -> None:
    refusals = errors.REFUSALS
    assert {code: error.code for code, error in refusals.items()} == {code: code for code in refusals}
    ours = {error for error in errors.Refused.__subclasses__() if error.__module__ == errors.__name__}
    assert set(refusals.values()) == ours
    for error in refusals.values():
        assert error.meaning != errors.Refused.meaning
        assert error.remedy != errors.TenantConnectError.remedy
        assert str(error()) == error.meaning
        assert str(error("here")) == "here"
