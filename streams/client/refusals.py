"""Error replies as exceptions: the class of the reply's code, with the reply itself."""

from __future__ import annotations

from datetime import datetime
from typing import Final, cast

from statemachine.errors import REFUSALS, Refused
from streams.wire.reply import Reply


class Answered(Refused):
    """The owner answered with an error; each one is also the class of its code, such as `TenantNotFound`.

    Attributes:
        reply: the answer as it came.
        retry_at: when asking again makes sense, where the owner knows.
    """

    reply: Reply
    retry_at: datetime | None


def _with_reply(error: type[Refused]) -> type[Answered]:
    named = {"__module__": __name__, "__doc__": error.__doc__}
    return cast("type[Answered]", type(error.__name__, (Answered, error), named))


_ANSWERED: Final = {code: _with_reply(error) for code, error in REFUSALS.items()}


def refusal(reply: Reply) -> Answered:
    """The exception for an error reply; a code of a newer service is an `Answered` with that code."""
    code, message, retry_at = Refused.code, "", None
    if reply.error is not None:
        code, message, retry_at = reply.error.code, reply.error.message, reply.error.retry_at
    error = _ANSWERED.get(code) or cast("type[Answered]", type("Refused", (Answered,), {"code": code}))
    raised = error(message)
    raised.reply = reply
    raised.retry_at = retry_at
    return raised
