"""What each setting is, in text: for the command line, for messages, and for the documentation."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from streams.settings.theme import PREFIX

Origin = Literal["flag", "environment", "default"]

MASK = "********"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as it stands. ``value`` is masked where it is secret.

    Attributes:
        name: the environment variable.
        value: what it is now; empty text where nothing is set.
        origin: where the value came from.
        default: what it is when nobody sets it.
        meaning: what it does, with its unit.
    """

    name: str
    value: str
    origin: Origin
    default: str
    meaning: str

    @property
    def flag(self) -> str:
        """The flag of the same name on the command line."""
        return flag_name(self.name)


def variable_name(field: str) -> str:
    """The environment variable of a field: ``http_port`` → ``TENANT_CONNECT_HTTP_PORT``."""
    return PREFIX + field.upper()


def field_name(name: str) -> str:
    """The field that a variable, a flag or a field's own name means; the reverse of the other two functions."""
    bare = name.removeprefix("--").upper().replace("-", "_")
    return bare.removeprefix(PREFIX).lower()


def flag_name(name: str) -> str:
    """The flag of a field or variable: ``TENANT_CONNECT_HTTP_PORT`` → ``--http-port``."""
    return "--" + field_name(name).replace("_", "-")


def shown(value: Any) -> str:
    """A value as text, with every secret in it masked."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, dict):
        return json.dumps({key: shown(item) for key, item in value.items()}) if value else ""
    return str(value.value if isinstance(value, Enum) else value)


def shown_default(field: FieldInfo) -> str:
    """A field's default as text, the same on every machine."""
    extra = field.json_schema_extra
    if isinstance(extra, dict) and "default" in extra:
        return str(extra["default"])
    return shown(field.get_default(call_default_factory=True, validated_data={}))
