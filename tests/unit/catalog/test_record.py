from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.catalog import record
from streams.catalog.entry import CatalogEntry
from streams.catalog.validation import validate
from streams.errors import CatalogUnreadable, CredentialsUnreadable
from tests.unit.catalog.examples import CIPHER, PASSWORD, tenant

texts = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)

entries = st.builds(
    CatalogEntry,
    tenant=texts,
    name=st.none() | texts,
    region=texts,
    suspended=st.booleans(),
    database=st.fixed_dictionaries(
        {"host": texts, "name": texts, "user": texts, "password": st.text(max_size=60)},
        optional={"port": st.integers(1, 65535), "tls": st.sampled_from(["disable", "require", "verify-full"])},
    ),
    replication=st.fixed_dictionaries({"mode": st.sampled_from(["durable", "temporary", "off"])}),
    limits=st.fixed_dictionaries({"max_payload_kb": st.integers(1, 10_000)}),
)


@given(entries)
def test_an_entry_comes_back_as_it_was_written(entry: CatalogEntry) -> None:
    assert record.decode(record.encode(entry, CIPHER), CIPHER) == entry


def test_nothing_of_the_database_stands_in_the_bytes() -> None:
    value = record.encode(validate(tenant()), CIPHER)
    for secret in (PASSWORD, "db.example", "owner"):
        assert secret.encode() not in value
        assert base64.b64encode(secret.encode()).rstrip(b"=") not in value


def test_the_rest_can_be_read_without_a_key() -> None:
    found = record.summary(record.encode(validate(tenant(name="First", suspended=True)), CIPHER))
    assert (found.tenant, found.name, found.region, found.suspended) == ("t1", "First", "us-east-1", True)
    assert found.limits.max_events_per_second == 100
    assert "database" not in found.model_dump()


def test_suspending_needs_no_key_and_leaves_the_credentials() -> None:
    entry = validate(tenant())
    value = record.suspended(record.encode(entry, CIPHER), to=True)
    assert record.decode(value, CIPHER) == entry.model_copy(update={"suspended": True})


def test_the_database_of_another_tenant_put_into_a_record_does_not_open() -> None:
    first = json.loads(record.encode(validate(tenant("t1")), CIPHER))
    second = json.loads(record.encode(validate(tenant("t2")), CIPHER))
    with pytest.raises(CredentialsUnreadable, match="tenant t1"):
        record.decode(json.dumps({**first, "database": second["database"]}).encode(), CIPHER)


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    value = json.loads(record.encode(validate(tenant()), CIPHER))
    assert record.decode(json.dumps({**value, "colour": "red"}).encode(), CIPHER) == validate(tenant())


def test_a_shape_of_the_future_is_refused() -> None:
    value = json.loads(record.encode(validate(tenant()), CIPHER))
    with pytest.raises(CatalogUnreadable, match="version"):
        record.summary(json.dumps({**value, "version": 2}).encode())


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", json.dumps(tenant()).encode()])
def test_what_is_no_record_is_refused_and_not_repeated(value: bytes) -> None:
    with pytest.raises(CatalogUnreadable) as caught:
        record.decode(value, CIPHER)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_clear_text_that_has_other_fields_is_not_repeated() -> None:
    value = json.loads(record.encode(validate(tenant()), CIPHER))
    envelope = CIPHER.encrypt("t1", json.dumps({"pass": PASSWORD}).encode())
    with pytest.raises(CredentialsUnreadable, match="host") as caught:
        record.decode(json.dumps({**value, "database": envelope.model_dump(mode="json")}).encode(), CIPHER)
    assert PASSWORD not in str(caught.value)
