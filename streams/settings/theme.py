"""What the themes of the settings share: the prefix, and the types of bounded values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

PREFIX = "TENANT_CONNECT_"

Milliseconds = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0)]


class Theme(BaseSettings):
    """A group of settings. Values come from arguments only: ``Settings.load`` is the one that reads an environment."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, hide_input_in_errors=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic-settings'
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave arguments as the only source."""
        return (init_settings,)


def json_object(value: Any) -> Any:
    """Read a JSON object out of text; anything that is not text passes as it is.

    Raises:
        ValueError: not an object, or a name given twice. The message holds nothing of the text, which may be secret.
    """
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value or "{}", object_pairs_hook=_distinct)
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON (at character {error.pos + 1})") from None
    if not isinstance(found, Mapping):
        raise ValueError("must be a JSON object, like {}")  # noqa: TRY004 - pydantic collects ValueError only
    return found


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("must not have the same name twice")
    return found
