from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.cli.command import call


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["frobnicate"], "frobnicate"),
        (["connect"], "TENANT"),
        (["status", "t1", "t2"], "t2"),
        (["connect", "t1", "--wait", "longer"], "longer"),
        (["connect", "t1", "--timeout-ms", "-1"], "--timeout-ms"),
        (["topics", "check", "--kafka"], "--kafka"),
        (["replay", "--until", "yesterday"], "yesterday"),
        (["watch", "--from", "2030-01-31T12:00:00"], "2030-01-31T12:00:00Z"),
        (["audit", "export", "--format", "xml"], "xml"),
    ],
)
def test_wrong_use_ends_with_2_and_names_what_is_wrong(tmp_path: Path, arguments: list[str], named: str) -> None:
    ended = call(*arguments, data_dir=str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("wrong_use: ")
    assert named in ended.err
    assert ended.err.splitlines()[-1].startswith("→ ")


def test_for_programs_an_error_is_an_object_on_standard_output(tmp_path: Path) -> None:
    ended = call("topics", "check", "--partitions=many", "--json", data_dir=str(tmp_path))
    assert (ended.code, ended.err) == (2, "")
    (record,) = ended.records
    assert record["error"]["code"] == "settings_invalid"
    assert "--partitions" in record["error"]["message"]
    assert record["error"]["remedy"]


def test_an_unknown_variable_stops_every_command() -> None:
    ended = call("dev", "status", kafak="127.0.0.1:1")
    assert ended.code == 2
    assert "TENANT_CONNECT_KAFAK is unknown" in ended.err


def test_settings_tell_where_each_value_came_from_and_mask_secrets(tmp_path: Path) -> None:
    keys = '{"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    ended = call("settings", "--json", "--region", "here", "--encryption-keys", keys, data_dir=str(tmp_path))
    origins = {setting["name"]: setting["origin"] for setting in ended.records}
    assert origins["TENANT_CONNECT_REGION"] == "flag"
    assert origins["TENANT_CONNECT_DATA_DIR"] == "environment"
    assert origins["TENANT_CONNECT_KAFKA"] == "default"
    assert "AAAA" not in ended.out


def test_settings_are_told_to_people_too(tmp_path: Path) -> None:
    ended = call("settings", data_dir=str(tmp_path))
    assert "TENANT_CONNECT_KAFKA = 127.0.0.1:9092  (default)\n" in ended.out


def test_a_stack_that_was_never_started_is_no_error(tmp_path: Path) -> None:
    ended = call("dev", "status", "--json", data_dir=str(tmp_path))
    assert ended.code == 0
    assert ended.records[0]["up"] is False
    assert list(tmp_path.iterdir()) == []
