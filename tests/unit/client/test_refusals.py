from __future__ import annotations

from datetime import UTC, datetime

import pytest

from statemachine.errors import REFUSALS, Refused
from streams.client import Answered
from streams.client.refusals import refusal
from streams.wire.reply import Reply, ReplyError

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def reply(error: ReplyError | None) -> Reply:
    return Reply("c1", "t1", "error", error, None, None, None, None, NOW)


@pytest.mark.parametrize("code", REFUSALS)
def test_an_error_reply_is_the_class_of_its_code_with_the_reply(code: str) -> None:
    answer = reply(ReplyError(code, "because", NOW))
    raised = refusal(answer)
    assert isinstance(raised, REFUSALS[code])
    assert isinstance(raised, Answered)
    assert (raised.code, str(raised), raised.reply, raised.retry_at) == (code, "because", answer, NOW)
    assert (raised.meaning, raised.remedy) == (REFUSALS[code].meaning, REFUSALS[code].remedy)
    assert type(raised).__name__ == REFUSALS[code].__name__


def test_an_error_that_is_not_known_here_keeps_its_code() -> None:
    raised = refusal(reply(ReplyError("moon_is_full", "wait")))
    assert (raised.code, str(raised), raised.retry_at) == ("moon_is_full", "wait", None)
    assert isinstance(raised, Refused)


def test_an_error_reply_without_an_error_is_still_one() -> None:
    raised = refusal(reply(None))
    assert raised.code == "refused"
    assert str(raised) == Refused.meaning
