"""All settings, read from flags and the environment."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Self

from pydantic import PrivateAttr, ValidationError
from pydantic_core import ErrorDetails

from streams.errors import SettingsInvalid
from streams.settings.database import DatabaseSettings
from streams.settings.description import Origin, Setting, field_name, flag_name, shown, shown_default, variable_name
from streams.settings.kafka import KafkaSettings
from streams.settings.lifecycle import LifecycleSettings
from streams.settings.place import PlaceSettings
from streams.settings.recovery import RecoverySettings
from streams.settings.replication import ReplicationSettings
from streams.settings.theme import PREFIX
from streams.settings.worker import WorkerSettings

NO_FLAGS: Mapping[str, str] = MappingProxyType({})

SECRETS = frozenset({"kafka_security_password", "encryption_keys"})
"""Fields whose value is never repeated, not even when it is wrong."""

ECHO_LENGTH_MAX = 100
"""Characters of a bad value that a message repeats."""


class Settings(
    ReplicationSettings,
    LifecycleSettings,
    DatabaseSettings,
    RecoverySettings,
    WorkerSettings,
    PlaceSettings,
    KafkaSettings,
):
    """Every setting of the service. Arguments are checked like variables; what is left out has its default."""

    _origins: dict[str, Origin] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ, flags: Mapping[str, str] = NO_FLAGS) -> Self:
        """Read the settings: flags win over the environment, the environment over defaults.

        Args:
            environ: names with the prefix ``TENANT_CONNECT_`` are read, all others passed over.
            flags: by field, flag or variable name: ``http_port``, ``--http-port`` and the long name mean the same.

        Raises:
            SettingsInvalid: names every unknown name and every bad value, and repeats no secret.
        """
        given = _given(environ, flags)
        problems = [_unknown(name) for field, (_, _, name) in given.items() if field not in cls.model_fields]
        known = {field: found for field, found in given.items() if field in cls.model_fields}
        try:
            settings = cls.model_validate({field: value for field, (value, _, _) in known.items()})
        except ValidationError as error:
            problems += [_bad(detail, known) for detail in error.errors(include_url=False)]
        if problems:
            raise SettingsInvalid("; ".join(problems))
        settings._origins = {field: origin for field, (_, origin, _) in known.items()}  # noqa: SLF001 - its own class
        return settings

    def origin(self, name: str) -> Origin:
        """Where a value came from; one that code passed as an argument counts as a flag.

        Args:
            name: a field, a flag or a variable.

        Raises:
            SettingsInvalid: there is no such setting.
        """
        field = field_name(name)
        if field not in type(self).model_fields:
            raise SettingsInvalid(_unknown(name))
        if field in self._origins:
            return self._origins[field]
        return "flag" if field in self.model_fields_set else "default"

    def describe(self) -> list[Setting]:
        """Every setting, in the order of the documentation, secrets masked."""
        return [
            Setting(
                name=variable_name(field),
                value=shown(getattr(self, field)),
                origin=self.origin(field),
                default=shown_default(info),
                meaning=info.description or "",
            )
            for field, info in type(self).model_fields.items()
        ]


def _given(environ: Mapping[str, str], flags: Mapping[str, str]) -> dict[str, tuple[str, Origin, str]]:
    found: dict[str, tuple[str, Origin, str]] = {}
    for name, value in environ.items():
        if name.startswith(PREFIX):
            # A variable in small letters is another variable, and unknown.
            field = field_name(name) if name.isupper() else name
            found[field] = (value, "environment", name)
    for name, value in flags.items():
        found[field_name(name)] = (value, "flag", flag_name(name))
    return found


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(field_name(name), Settings.model_fields, n=1)
    spelled = flag_name if name.startswith("--") else variable_name
    return f"{name} is unknown" + "".join(f"; did you mean {spelled(field)}?" for field in near)


def _bad(detail: ErrorDetails, given: Mapping[str, tuple[str, Origin, str]]) -> str:
    field = next(_fields(detail), None)
    message = detail["msg"].removeprefix("Value error, ")
    if field is None or field not in given:
        return message
    value, _, name = given[field]
    inner = "".join(f" at {part!r}" for part in detail["loc"][1:2] if field != "encryption_keys")
    if field in SECRETS:
        return f"{name} (value hidden): {message}"
    return f"{name} is {value[:ECHO_LENGTH_MAX]!r}{inner}: {message}"


def _fields(detail: ErrorDetails) -> Iterator[str]:
    yield from (str(part) for part in detail["loc"][:1])
