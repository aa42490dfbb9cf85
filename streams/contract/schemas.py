"""The contract as files: JSON Schemas of every record, and the AsyncAPI document of every topic.

Sources: JSON Schema 2020-12; AsyncAPI 3.0.0.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import reduce
from operator import or_
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from statemachine.events import EVENT_TYPES
from streams.catalog.entry import CatalogEntry
from streams.contract.asyncapi import document, yaml
from streams.contract.models import (
    COMMANDS,
    EVENTS,
    BroadcastModel,
    DeadLetterHeaders,
    PositionRecordModel,
    ReplyModel,
    schema_of,
)
from streams.wire.users import UserReport

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def schemas() -> dict[str, dict[str, Any]]:
    """Every schema, by the name of its file."""
    whole = {
        "command": _any_of(COMMANDS),
        "reply": TypeAdapter(ReplyModel),
        "event": _any_of(EVENTS),
        "catalog-entry": TypeAdapter(CatalogEntry),
        "user-report": TypeAdapter(UserReport),
        "broadcast": TypeAdapter(BroadcastModel),
        "position": TypeAdapter(PositionRecordModel),
        "dead-letter-headers": TypeAdapter(DeadLetterHeaders),
    }
    files = {f"{name}.json": _schema(adapter, f"urn:tenant-connect:{name}:1") for name, adapter in whole.items()}
    data = {f"event.{name}.json": _schema(TypeAdapter(kind), schema_of(name)) for name, kind in EVENT_TYPES.items()}
    return {**files, **data}


def files() -> dict[str, str]:
    """The text of every file of the contract, by its name."""
    texts = {name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in schemas().items()}
    return {**texts, "asyncapi.yaml": yaml(document())}


def generate(directory: Path) -> list[Path]:
    """Write every file of the contract below ``directory``, which is made where it is missing; gives their paths."""
    written = []
    for name, text in sorted(files().items()):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _any_of(models: Mapping[str, type]) -> TypeAdapter[Any]:
    union: Any = reduce(or_, models.values())
    wire: Any = Annotated[union, Field(discriminator="type")]  # the members are known at run time only
    return TypeAdapter(wire)


def _schema(adapter: TypeAdapter[Any], identifier: str) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": identifier, **adapter.json_schema(mode="validation")}
