"""Times and sequences as people write them on the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from streams.cli.failure import WrongUse


def parse_moment(text: str) -> datetime:
    """A time with a zone, RFC 3339, such as ``2030-01-31T12:00:00Z``.

    Raises:
        WrongUse: it is not one, or has no zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUse(f"{text!r} is not a time; write it like 2030-01-31T12:00:00Z") from None
    if found.tzinfo is None:
        raise WrongUse(f"{text!r} has no zone; write {found.isoformat()}Z for UTC")
    return found


def parse_until(text: str | None) -> datetime | int | None:
    """A time, or a sequence of events.

    Raises:
        WrongUse: it is neither.
    """
    if text is None:
        return None
    return int(text) if text.isascii() and text.isdecimal() else parse_moment(text)


def parse_start(text: str) -> datetime | Literal["now", "start"]:
    """A time, ``now`` or ``start``.

    Raises:
        WrongUse: it is neither.
    """
    if text == "now":
        return "now"
    return "start" if text == "start" else parse_moment(text)
