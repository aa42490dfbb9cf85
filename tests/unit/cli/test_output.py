from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog

from statemachine.errors import TenantNotFound
from streams.cli.logs import LogLevel, configure_logs
from streams.client.refusals import refusal
from streams.terminal.output import Output
from streams.terminal.tables import table
from streams.wire.reply import Reply, ReplyError


def output(*, as_json: bool) -> tuple[Output, io.StringIO, io.StringIO]:
    out, err = io.StringIO(), io.StringIO()
    return Output(out, err, as_json=as_json), out, err


@pytest.fixture
def own_logs() -> Iterator[None]:
    """Gives logging back as it was."""
    root, handlers, level = logging.getLogger(), logging.getLogger().handlers[:], logging.getLogger().level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_with_json_standard_output_carries_nothing_else() -> None:
    shown, out, err = output(as_json=True)
    shown.note("by the way")
    shown.show("for people", [{"a": 1}, {"b": 2}])
    shown.error(TenantNotFound("no t1"))
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert lines[:2] == [{"a": 1}, {"b": 2}]
    assert lines[2]["error"] == {"code": "tenant_not_found", "message": "no t1", "remedy": TenantNotFound.remedy}
    assert err.getvalue() == ""


def test_for_people_errors_and_notes_go_to_standard_error() -> None:
    shown, out, err = output(as_json=False)
    shown.note("by the way")
    shown.error(TenantNotFound("no t1"))
    assert out.getvalue() == ""
    assert err.getvalue() == f"by the way\ntenant_not_found: no t1\n→ {TenantNotFound.remedy}\n"


@pytest.mark.parametrize("as_json", [True, False])
def test_a_refusal_says_when_to_ask_again(*, as_json: bool) -> None:
    shown, out, err = output(as_json=as_json)
    at = datetime(2030, 1, 1, 12, 0, 5, tzinfo=UTC)
    told = ReplyError("connect_rate_limit_reached", "too often", at)
    shown.error(refusal(Reply("c1", "t1", "error", told, None, None, None, None, at)))
    expected = "2030-01-01T12:00:05Z" if as_json else "retry_at is 2030-01-01 12:00:05Z"
    assert expected in out.getvalue() + err.getvalue()


def test_a_table_in_a_file_is_plain_and_is_not_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    shown, out, _ = output(as_json=False)
    shown.show(table(("name", "value"), [("a", "x" * 150), ("[red]b", "")]))
    lines = out.getvalue().splitlines()
    assert lines[2] == "a      " + "  " + "x" * 150
    assert lines[3] == "[red]b"


@pytest.mark.usefixtures("own_logs")
def test_logs_are_one_object_a_line_and_libraries_speak_up_from_warnings_on() -> None:
    stream = io.StringIO()
    configure_logs(LogLevel.INFO, stream)
    structlog.get_logger("streams.service").info("worker.started", worker="w1")
    structlog.get_logger("streams.service").debug("too much")
    logging.getLogger("streams.engine.transport").info("a library's chatter")
    logging.getLogger("aiokafka").warning("a library's worry")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert list(first) == ["timestamp", "level", "event", "worker"]
    assert (first["event"], first["level"]) == ("worker.started", "info")
    assert (second["event"], second["logger"], second["level"]) == ("a library's worry", "aiokafka", "warning")


class Screen(io.StringIO):
    """A stream that people look at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.usefixtures("own_logs")
@pytest.mark.parametrize("stream", [io.StringIO(), Screen()], ids=["for programs", "for people"])
def test_a_traceback_shows_no_values(stream: io.StringIO) -> None:
    configure_logs(LogLevel.INFO, stream)

    def connect(password: str) -> None:
        raise ValueError(len(password))

    try:
        connect("open " + "sesame")
    except ValueError:
        structlog.get_logger("streams.service").exception("effect.failed")
    assert "ValueError: 11" in stream.getvalue()
    assert "open sesame" not in stream.getvalue()
