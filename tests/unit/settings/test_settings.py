from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from streams.errors import SettingsInvalid
from streams.settings import Settings, markdown
from streams.settings.description import field_name, flag_name, variable_name

SECRET = "hunter2-correct-horse"
KEY = base64.b64encode(bytes(range(32))).decode()
DOCUMENTATION = Path(__file__).parents[3] / "docs" / "settings.md"

BOUNDS = [
    name
    for name, field in Settings.model_fields.items()
    if field.annotation is int and any(getattr(rule, "gt", None) == 0 for rule in field.metadata)
]


def refusal(environ: dict[str, str], flags: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load(environ, flags or {})
    return str(caught.value)


def test_a_flag_wins_over_the_environment_and_the_environment_over_the_default() -> None:
    settings = Settings.load(
        {"TENANT_CONNECT_HTTP_PORT": "1111", "TENANT_CONNECT_REGION": "eu"}, {"--http-port": "2222"}
    )
    assert (settings.http_port, settings.origin("HTTP_PORT")) == (2222, "flag")
    assert (settings.region, settings.origin("TENANT_CONNECT_REGION")) == ("eu", "environment")
    assert (settings.partitions, settings.origin("partitions")) == (16, "default")


def test_variables_of_other_programs_are_passed_over() -> None:
    assert Settings.load({"PATH": "/bin", "KAFKA": "elsewhere:1"}).kafka == "127.0.0.1:9092"


def test_an_unknown_variable_is_named_with_the_one_that_was_meant() -> None:
    message = refusal({"TENANT_CONNECT_PARTITION": "3"})
    assert "TENANT_CONNECT_PARTITION is unknown" in message
    assert "did you mean TENANT_CONNECT_PARTITIONS?" in message


@pytest.mark.parametrize("name", ["TENANT_CONNECT_http_port", "TENANT_CONNECT_", "TENANT_CONNECT_WHATEVER"])
def test_a_variable_that_is_not_spelled_like_a_setting_is_unknown(name: str) -> None:
    assert f"{name} is unknown" in refusal({name: "1"})


def test_an_unknown_flag_is_named_as_a_flag() -> None:
    assert "--http-prot is unknown; did you mean --http-port?" in refusal({}, {"--http-prot": "1"})


def test_all_that_is_wrong_is_named_at_once() -> None:
    message = refusal(
        {
            "TENANT_CONNECT_PARTITIONS": "many",
            "TENANT_CONNECT_HTTP_PORT": "70000",
            "TENANT_CONNECT_REGIONS": "[",
            "TENANT_CONNECT_KAFKA": "nowhere",
            "TENANT_CONNECT_KAFKA_SECURITY_CA": "/does/not/exist",
            "TENANT_CONNECT_COLOUR": "red",
        }
    )
    for name in ("PARTITIONS is 'many'", "HTTP_PORT is '70000'", "REGIONS is '['", "KAFKA is 'nowhere'", "COLOUR is"):
        assert f"TENANT_CONNECT_{name}" in message
    assert "TENANT_CONNECT_KAFKA_SECURITY_CA is '/does/not/exist'" in message


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize("value", ["0", "-1", ""])
def test_a_bound_is_above_zero(name: str, value: str) -> None:
    assert variable_name(name) in refusal({variable_name(name): value})


def test_there_are_bounds_to_check() -> None:
    assert {"broadcast_linger_ms", "runs_in_flight_max", "value_bytes_max", "migrations_timeout_ms"} <= set(BOUNDS)


@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        json.dumps({"k1": SECRET}),
        json.dumps({"k1": [SECRET]}),
        json.dumps({SECRET * 2: "k1"}),
        json.dumps([SECRET]),
        f'{{"k1": "{SECRET}", "k1": "{SECRET}"}}',
        json.dumps({"k1": base64.b64encode(SECRET.encode()).decode()}),
    ],
)
def test_a_bad_encryption_key_is_named_and_not_repeated(value: str) -> None:
    message = refusal({"TENANT_CONNECT_ENCRYPTION_KEYS": value})
    assert "TENANT_CONNECT_ENCRYPTION_KEYS" in message
    assert SECRET not in message
    assert base64.b64encode(SECRET.encode()).decode() not in message


def test_a_key_in_the_place_of_its_id_is_not_repeated() -> None:
    for spelled in (KEY, bytes(range(32)).hex()):
        assert spelled not in refusal({"TENANT_CONNECT_ENCRYPTION_KEYS": json.dumps({spelled: "k1"})})


def test_no_text_of_the_settings_shows_a_secret() -> None:
    settings = Settings.load(
        {
            "TENANT_CONNECT_ENCRYPTION_KEYS": json.dumps({"k1": KEY}),
            "TENANT_CONNECT_KAFKA_SECURITY_PASSWORD": SECRET,
        }
    )
    shown = f"{settings!r} {settings} {settings.describe()} {settings.model_dump_json()}"
    assert KEY not in shown
    assert SECRET not in shown
    assert settings.encryption_keys["k1"].get_secret_value() == KEY


def test_a_bad_value_passed_in_code_is_not_repeated_either() -> None:
    with pytest.raises(ValueError, match="encryption_keys") as caught:
        Settings(encryption_keys=json.loads(json.dumps({"k1": SECRET})))
    assert SECRET not in str(caught.value)


def test_a_login_that_is_not_whole_names_what_is_missing() -> None:
    message = refusal(
        {"TENANT_CONNECT_KAFKA_SECURITY_PROTOCOL": "sasl_ssl", "TENANT_CONNECT_KAFKA_SECURITY_PASSWORD": SECRET}
    )
    assert "TENANT_CONNECT_KAFKA_SECURITY_SASL_MECHANISM, TENANT_CONNECT_KAFKA_SECURITY_USER" in message
    assert SECRET not in message


def test_bounds_that_contradict_each_other_are_refused() -> None:
    assert "TENANT_CONNECT_DATABASE_BACKOFF_MIN_MS" in refusal({"TENANT_CONNECT_DATABASE_BACKOFF_MIN_MS": "30001"})
    assert "TENANT_CONNECT_HEARTBEAT_INTERVAL_MS" in refusal({"TENANT_CONNECT_SESSION_TIMEOUT_MS": "200"})


def test_a_session_timeout_is_no_longer_than_a_request_to_kafka_may_take() -> None:
    assert "TENANT_CONNECT_SESSION_TIMEOUT_MS" in refusal({"TENANT_CONNECT_SESSION_TIMEOUT_MS": "90001"})


def test_several_bootstrap_servers_are_taken() -> None:
    assert Settings.load({"TENANT_CONNECT_KAFKA": "a.example:1, [::1]:9092"}).kafka == "a.example:1,[::1]:9092"


@pytest.mark.parametrize("value", ["", "host", "host:", ":9092", "host:0", "host:70000", "a:1,,b:2", "kafka://a:1"])
def test_a_bootstrap_server_needs_host_and_port(value: str) -> None:
    assert "TENANT_CONNECT_KAFKA" in refusal({"TENANT_CONNECT_KAFKA": value})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().http_port = 1  # type: ignore[misc]  # this is what must fail


def test_the_environment_is_not_read_behind_the_callers_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENANT_CONNECT_HTTP_PORT", "1111")
    assert Settings().http_port == 8800
    assert Settings.load({}).http_port == 8800


def test_the_description_names_every_setting_with_origin_default_and_meaning() -> None:
    described = {each.name: each for each in Settings.load({}, {"partitions": "4"}).describe()}
    assert len(described) == len(Settings.model_fields)
    assert all(each.meaning and each.name.startswith("TENANT_CONNECT_") for each in described.values())
    partitions = described["TENANT_CONNECT_PARTITIONS"]
    assert (partitions.value, partitions.origin, partitions.default) == ("4", "flag", "16")
    assert partitions.flag == "--partitions"


def test_times_say_their_unit() -> None:
    assert all(name.endswith("_ms") for name in Settings.model_fields if "timeout" in name or "window" in name)


def test_a_name_is_the_same_setting_as_field_flag_and_variable() -> None:
    for field in Settings.model_fields:
        assert field_name(flag_name(field)) == field_name(variable_name(field)) == field


def test_the_documentation_is_the_one_made_from_the_settings() -> None:
    assert DOCUMENTATION.read_text(encoding="utf-8") == markdown()
