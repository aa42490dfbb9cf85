from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streams.contract.asyncapi import document, yaml
from streams.contract.schemas import files, generate, schemas
from streams.settings import Settings
from streams.topics import declarations

CHECKED_IN = Path(__file__).parents[3] / "schemas"


def references(value: Any) -> list[str]:
    """Every reference to a file, wherever it stands."""
    if isinstance(value, list):
        return [found for inner in value for found in references(inner)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if str(value.get("$ref", "")).startswith("./") else []
    return own + [found for inner in value.values() for found in references(inner)]


def test_the_files_in_the_repository_are_those_that_are_generated() -> None:
    there = {str(path.relative_to(CHECKED_IN)) for path in CHECKED_IN.rglob("*") if path.is_file()}
    assert there == set(files())
    for name, text in files().items():
        assert (CHECKED_IN / name).read_text(encoding="utf-8") == text, f"{name} is old: run `tenant-connect schemas`"


def test_files_are_generated_below_a_directory_that_need_not_be_there(tmp_path: Path) -> None:
    written = generate(tmp_path / "new")
    assert {str(path.relative_to(tmp_path / "new")) for path in written} == set(files())
    assert all(path.read_text(encoding="utf-8").endswith("\n") for path in written)


@pytest.mark.parametrize("name", schemas())
def test_each_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(schemas()[name])


def test_every_file_that_the_asyncapi_document_names_is_there() -> None:
    named = references(document())
    assert named
    assert {name.removeprefix("./") for name in named} <= set(files())


def test_every_channel_is_a_declared_topic_and_every_operation_has_its_channel() -> None:
    found = document()
    topics = {declaration.name.replace(".local.", ".{region}.") for declaration in declarations(Settings())}
    assert {channel["address"] for channel in found["channels"].values()} <= topics
    for operation in found["operations"].values():
        assert operation["channel"]["$ref"].removeprefix("#/channels/") in found["channels"]
    for channel in found["channels"].values():
        for message in channel["messages"].values():
            assert message["$ref"].removeprefix("#/components/messages/") in found["components"]["messages"]


def test_yaml_is_block_style_with_text_in_quotes() -> None:
    text = yaml({"a": {"on": True, "b": ["x: y", {"c": 1}]}, "empty": {}, "$ref": "#/é"})
    assert text.splitlines() == [
        "a:",
        '  "on": true',
        "  b:",
        '    - "x: y"',
        "    -",
        "      c: 1",
        "empty: {}",
        '"$ref": "#/é"',
    ]
