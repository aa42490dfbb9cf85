"""Flags that every command takes: each setting under its own name, and ``--json``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from streams.cli.failure import WrongUse
from streams.settings import Settings
from streams.settings.description import flag_name

JSON: Final = "--json"
"""Asks for one JSON object a line instead of text for people."""

END_OF_FLAGS: Final = "--"
"""What comes after it is taken as it is."""

SETTINGS: Final = frozenset(map(flag_name, Settings.model_fields))
"""The flag of each setting."""


class Taken(NamedTuple):
    """A command line, taken apart.

    Attributes:
        tokens: what is left for the command itself.
        flags: flag of a setting → its value; the last one counts.
        as_json: whether ``--json`` was among them.
    """

    tokens: list[str]
    flags: dict[str, str]
    as_json: bool


def take(arguments: Sequence[str]) -> Taken:
    """Take the flags of settings and ``--json`` out of a command line, wherever they stand.

    Raises:
        WrongUse: the flag of a setting has no value.
    """
    taken = Taken([], {}, JSON in _before_the_end(arguments))
    rest = iter(arguments)
    for token in rest:
        name, equals, value = token.partition("=")
        if token == END_OF_FLAGS:
            taken.tokens.extend([token, *rest])
        elif name in SETTINGS:
            taken.flags[name] = value if equals else _value_of(name, next(rest, None))
        elif token != JSON:
            taken.tokens.append(token)
    return taken


def _before_the_end(arguments: Sequence[str]) -> Sequence[str]:
    return arguments[: arguments.index(END_OF_FLAGS)] if END_OF_FLAGS in arguments else arguments


def _value_of(name: str, following: str | None) -> str:
    if following is None or following.startswith("--"):
        raise WrongUse(f"{name} needs a value: `{name} VALUE` or `{name}=VALUE`")
    return following
