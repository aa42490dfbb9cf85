from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.cli.entries import read_entries
from streams.errors import InputInvalid


def entry(tenant: str, **database: Any) -> dict[str, Any]:
    address = {"host": "db", "name": "d", "user": "u", "password": "a secret", **database}
    return {"tenant": tenant, "region": "local", "database": address}


def written(directory: Path, text: str) -> str:
    path = directory / "tenants"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([entry("t1"), entry("t2")]),
        json.dumps(entry("t1")) + "\n\n" + json.dumps(entry("t2")) + "\n",
        "\ufeff" + json.dumps([entry("t1"), entry("t2")], indent=2),
    ],
    ids=["an array", "an object a line", "an array with a byte order mark"],
)
def test_tenants_are_read_in_each_form(tmp_path: Path, text: str) -> None:
    assert [found.tenant for found in read_entries(written(tmp_path, text))] == ["t1", "t2"]


def test_one_object_may_span_lines(tmp_path: Path) -> None:
    (found,) = read_entries(written(tmp_path, json.dumps(entry("t1"), indent=2)))
    assert found.tenant == "t1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "holds no tenant"),
        ("{", "not JSON"),
        ("3", "a tenant is one JSON object"),
        (json.dumps(entry("t1", port="far")), "database.port must be a whole number"),
        (json.dumps([entry("t1"), entry("t2", port=0)]), "tenant 2 of the array: database.port"),
        (json.dumps(entry("t1")) + "\n" + json.dumps(entry("t2", port=0)), "line 2: database.port"),
        (json.dumps(entry("t1")) + "\n{", "line 2 is not JSON"),
        (json.dumps([entry("t1"), entry("t1")]), "more than once: t1"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_no_secret(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputInvalid) as raised:
        read_entries(written(tmp_path, text))
    assert message in str(raised.value)
    assert "a secret" not in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputInvalid, match="missing cannot be read: No such file"):
        read_entries(str(tmp_path / "missing"))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tenants"
    path.write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(InputInvalid, match="is not UTF-8"):
        read_entries(str(path))
