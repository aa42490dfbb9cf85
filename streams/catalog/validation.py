"""What people hand in as a tenant, and what they are shown of one."""

from __future__ import annotations

import difflib
import re
import ssl
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from streams.catalog.entry import CatalogEntry, Database, Limits, Replication
from streams.errors import InputInvalid

MASK: Final = "********"

_PARTS: Final[Mapping[str, type[BaseModel]]] = MappingProxyType(
    {"": CatalogEntry, "database": Database, "replication": Replication, "limits": Limits}
)


_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "missing": "is missing",
        "string_type": "must be text",
        **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "must be a whole number"),
        **dict.fromkeys(("bool_parsing", "bool_type"), "must be true or false"),
        **dict.fromkeys(("model_type", "model_attributes_type"), "must be a JSON object"),
    }
)
"""What is wrong, by pydantic's name for it."""


def validate(raw: object) -> CatalogEntry:
    """The entry that a JSON object describes.

    Raises:
        InputInvalid: names every field that is wrong, and repeats no value.
    """
    if not isinstance(raw, Mapping):
        raise InputInvalid('a tenant is one JSON object, like {"tenant": "t1", "region": "us-east-1", "database": …}')
    try:
        entry = CatalogEntry.model_validate(dict(raw))
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
        raise InputInvalid("; ".join(map(_sentence, filter(_is_of_the_input, details)))) from None
    if entry.database.password.get_secret_value() == MASK:
        raise InputInvalid("database.password is the mask that is shown in its place; give the password itself")
    if entry.database.ca is not None and not _is_authority(entry.database.ca):
        raise InputInvalid(
            "database.ca must be a certificate authority as PEM text in ASCII, from -----BEGIN CERTIFICATE----- to "
            "-----END CERTIFICATE-----; give the text itself, not the name of a file"
        )
    return entry


def public(entry: CatalogEntry) -> dict[str, Any]:
    """The entry as it may be shown: ``database.password`` is masked, everything else is as it was handed in."""
    shown = entry.model_dump(mode="json")
    return {**shown, "database": {**shown["database"], "password": MASK}}


def _is_authority(text: str) -> bool:
    """Whether a TLS connection can be verified by ``text``: read by the library that will do so."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError, TypeError):
        return False
    return True


def _is_of_the_input(detail: ErrorDetails) -> bool:
    """Whether something handed in is wrong: a default that follows from another field is not there if that one is."""
    return detail["type"] != "default_factory_not_called"


def _sentence(detail: ErrorDetails) -> str:
    place = ".".join(map(str, detail["loc"]))
    kind = detail["type"]
    if kind == "extra_forbidden":
        return f"{place} is not a field of a tenant{_suggestion(detail)}"
    return f"{place} {_WORDS.get(kind) or _plain(detail['msg'])}"


def _plain(message: str) -> str:
    said = re.sub(r"^(?:Input|String|Value|Data) should ", "must ", message.removeprefix("Value error, "))
    return said[:1].lower() + said[1:]


def _suggestion(detail: ErrorDetails) -> str:
    *above, name = (str(part) for part in detail["loc"])
    part = _PARTS.get(".".join(above))
    near = difflib.get_close_matches(name, part.model_fields, n=1) if part else []
    return f"; did you mean {'.'.join([*above, near[0]])}?" if near else ""
