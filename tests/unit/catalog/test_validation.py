from __future__ import annotations

import pytest

from streams.catalog.validation import MASK, public, validate
from streams.errors import InputInvalid
from tests.unit.catalog.examples import AUTHORITY, PASSWORD, tenant, with_database


def refusal(raw: object) -> str:
    with pytest.raises(InputInvalid) as caught:
        validate(raw)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("field", ["tenant", "region", "database"])
def test_a_missing_field_is_named(field: str) -> None:
    assert refusal({name: value for name, value in tenant().items() if name != field}) == f"{field} is missing"


@pytest.mark.parametrize("field", ["host", "name", "user", "password"])
def test_a_missing_field_of_the_database_is_named(field: str) -> None:
    database = {name: value for name, value in tenant()["database"].items() if name != field}
    assert refusal(tenant(database=database)) == f"database.{field} is missing"


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (with_database(port="many"), "database.port must be a whole number"),
        (with_database(port=70000), "database.port must be less than or equal to 65535"),
        (with_database(host=""), "database.host must have at least 1 character"),
        (with_database(tls="maybe"), "database.tls must be 'disable', 'require' or 'verify-full'"),
        (with_database(password=5), "database.password must be text"),
        (with_database(password=[PASSWORD]), "database.password must be text"),
        (with_database(pasword="x"), "database.pasword is not a field of a tenant; did you mean database.password?"),
        (tenant(database=PASSWORD), "database must be a JSON object"),
        (tenant(suspended="perhaps"), "suspended must be true or false"),
        (tenant(replication={"mode": "x"}), "replication.mode must be 'durable', 'temporary' or 'off'"),
        (tenant(limits={"max_payload_kb": 0}), "limits.max_payload_kb must be greater than or equal to 1"),
        (tenant(colour="red"), "colour is not a field of a tenant"),
        (tenant("x" * 129), "tenant must have at most 128 characters"),
    ],
)
def test_a_wrong_field_is_named_with_what_it_must_be(raw: object, message: str) -> None:
    assert refusal(raw) == message


@pytest.mark.parametrize(
    ("fields", "tls"),
    [
        ({}, "require"),
        ({"ca": None}, "require"),
        ({"ca": AUTHORITY}, "verify-full"),
        ({"ca": AUTHORITY, "tls": "require"}, "require"),
        ({"ca": AUTHORITY, "tls": "disable"}, "disable"),
        ({"tls": "verify-full"}, "verify-full"),
    ],
)
def test_an_authority_is_there_to_verify_with_unless_told_otherwise(fields: dict[str, str | None], tls: str) -> None:
    assert validate(with_database(**fields)).database.tls == tls


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no certificate",
        "/etc/ssl/authority.pem",
        AUTHORITY[:-40],
        AUTHORITY.replace("\n", " "),
        f"# Süd\n{AUTHORITY}",
    ],
    ids=["empty", "words", "a path", "cut short", "one line", "not ASCII"],
)
@pytest.mark.parametrize("tls", [None, "disable", "require", "verify-full"])
def test_an_authority_that_is_no_pem_text_is_refused_whatever_the_mode(text: str, tls: str | None) -> None:
    fields = {"ca": text} if tls is None else {"ca": text, "tls": tls}
    said = refusal(with_database(**fields))
    assert said.startswith("database.ca must be a certificate authority as PEM text")
    assert "authority.pem" not in said


def test_several_authorities_and_words_around_them_are_taken() -> None:
    text = f"# The old one\n{AUTHORITY}\n# The new one\n{AUTHORITY}"
    assert validate(with_database(ca=text)).database.ca == text


def test_what_was_shown_of_an_entry_says_how_its_server_is_verified() -> None:
    entry = validate(with_database(ca=AUTHORITY, tls="require"))
    again = {**public(entry), "database": {**public(entry)["database"], "password": PASSWORD}}
    assert validate(again) == entry


def test_a_wrong_field_puts_no_blame_on_the_fields_that_follow_from_it() -> None:
    assert refusal(with_database(ca=5)) == "database.ca must be text"


def test_all_that_is_wrong_is_named_at_once() -> None:
    message = refusal({"database": {"port": 0}})
    for part in ("tenant is missing", "region is missing", "database.host is missing", "database.port must"):
        assert part in message


@pytest.mark.parametrize("raw", [None, [], "t1", 3, [tenant()]])
def test_what_is_not_one_object_is_refused(raw: object) -> None:
    assert "one JSON object" in refusal(raw)


def test_what_is_shown_has_everything_but_the_password() -> None:
    entry = validate(tenant(name="First"))
    shown = public(entry)
    assert shown["database"] == {
        "host": "db.example",
        "port": 5432,
        "name": "postgres",
        "user": "owner",
        "password": MASK,
        "tls": "require",
        "ca": None,
        "pool_size": 1,
        "queue_target_ms": 5000,
    }
    assert shown["name"] == "First"
    assert PASSWORD not in f"{shown} {entry!r}"


def test_what_was_shown_is_not_taken_back_with_the_mask_for_a_password() -> None:
    assert "mask" in refusal(public(validate(tenant())))
