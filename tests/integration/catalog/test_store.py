from __future__ import annotations

import pytest
from confluent_kafka import KafkaError, Producer

from statemachine.errors import TenantNotFound
from streams.catalog.crypto import new_key
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.devstack.kafka import KafkaServer
from streams.errors import (
    CatalogUnreadable,
    CredentialsUnreadable,
    DeliveryFailed,
    SettingsInvalid,
    TopicsDiffer,
    WaitExpired,
)
from streams.kafka.clients import configuration, consumer, producer
from streams.kafka.compacted import latest
from streams.kafka.partitioner import partition_of
from streams.settings import Settings
from streams.topics import Topics
from tests.unit.catalog.examples import AUTHORITY, PASSWORD, tenant

pytestmark = pytest.mark.kafka

FLUSH_SECONDS = 30.0


def write(settings: Settings, key: bytes | None, value: bytes | None) -> None:
    client = producer(settings)
    client.produce(Topics(settings).tenants, key=key, value=value)
    assert client.flush(FLUSH_SECONDS) == 0


def every_byte(settings: Settings) -> bytes:
    """Keys, values and headers of the topic of tenants, of every record that was ever written to it."""
    topic, found, ended = Topics(settings).tenants, [], 0
    reader = consumer(settings, "every-byte", enable_partition_eof=True)
    reader.subscribe([topic])
    while ended < settings.partitions:
        message = reader.poll(FLUSH_SECONDS)
        assert message is not None
        error = message.error()
        if error is None:
            found += [message.key() or b"", message.value() or b"", repr(message.headers()).encode()]
        else:
            assert error.code() == KafkaError._PARTITION_EOF
            ended += 1
    reader.close()
    return b"".join(found)


def test_an_entry_put_is_got_as_it_was(catalog: Catalog) -> None:
    entry = validate(tenant("t1", name="First"))
    catalog.put(entry)
    assert catalog.get("t1") == entry


def test_the_last_put_holds(catalog: Catalog) -> None:
    for name in ("First", "Second", "Third"):
        catalog.put(validate(tenant("t1", name=name)))
    assert catalog.get("t1").name == "Third"
    assert len(catalog.list()) == 1


def test_many_are_put_at_once_and_listed_in_order(catalog: Catalog) -> None:
    names = [f"t{number:04}" for number in range(1500)]
    catalog.put_all([validate(tenant(name)) for name in reversed(names)])
    assert [found.tenant for found in catalog.list()] == names


def test_an_empty_catalog_lists_nothing(catalog: Catalog) -> None:
    assert catalog.list() == []


def test_a_tenant_is_suspended_and_resumed_without_a_key(settings: Settings, catalog: Catalog) -> None:
    entry = validate(tenant("t1"))
    catalog.put(entry)
    keyless = Catalog(settings.model_copy(update={"encryption_keys": {}}))
    keyless.suspend("t1")
    assert catalog.get("t1").suspended
    assert [found.suspended for found in keyless.list()] == [True]
    keyless.resume("t1")
    assert catalog.get("t1") == entry


def test_a_tenant_removed_is_gone(catalog: Catalog) -> None:
    catalog.put_all([validate(tenant(name)) for name in ("t1", "t2")])
    catalog.remove("t1")
    assert [found.tenant for found in catalog.list()] == ["t2"]
    with pytest.raises(TenantNotFound, match="t1"):
        catalog.get("t1")


@pytest.mark.parametrize("action", ["get", "suspend", "resume", "remove"])
def test_a_tenant_that_is_not_there_is_named(catalog: Catalog, action: str) -> None:
    with pytest.raises(TenantNotFound, match="nobody"):
        getattr(catalog, action)("nobody")


def test_the_password_stands_nowhere_on_the_topic(settings: Settings, catalog: Catalog) -> None:
    catalog.put(validate(tenant("t1")))
    catalog.suspend("t1")
    found = every_byte(settings)
    assert found.count(b'"tenant":"t1"') == 2
    for secret in (PASSWORD, "db.example", settings.encryption_keys["k1"].get_secret_value()):
        assert secret.encode() not in found


def test_without_a_key_nothing_is_written(settings: Settings, catalog: Catalog) -> None:
    with pytest.raises(SettingsInvalid, match="ENCRYPTION_KEYS"):
        Catalog(settings.model_copy(update={"encryption_keys": {}})).put(validate(tenant("t1")))
    assert catalog.list() == []


def test_with_another_key_the_tenant_can_be_listed_but_not_read(settings: Settings, catalog: Catalog) -> None:
    catalog.put(validate(tenant("t1")))
    keys = Settings.model_validate({"encryption_keys": {"k2": new_key()}}).encryption_keys
    stranger = Catalog(settings.model_copy(update={"encryption_keys": keys}))
    assert [found.tenant for found in stranger.list()] == ["t1"]
    with pytest.raises(CredentialsUnreadable, match="'k1'"):
        stranger.get("t1")


def test_a_record_that_is_none_is_named_and_can_be_removed(settings: Settings, catalog: Catalog) -> None:
    catalog.put(validate(tenant("t1")))
    write(settings, b"t2", b"{}")
    with pytest.raises(CatalogUnreadable, match="tenant t2"):
        catalog.list()
    catalog.remove("t2")
    assert [found.tenant for found in catalog.list()] == ["t1"]


def test_a_record_under_the_key_of_another_tenant_is_refused(settings: Settings, catalog: Catalog) -> None:
    catalog.put(validate(tenant("t1")))
    value = latest(settings, Topics(settings).tenants)[b"t1"]
    write(settings, b"t2", value)
    with pytest.raises(CatalogUnreadable, match="tenant t2: its record is that of tenant t1"):
        catalog.get("t2")


def test_a_record_that_is_too_large_is_named_with_its_tenant(catalog: Catalog) -> None:
    huge = {**tenant()["database"], "ca": "x" * 9_000_000 + f"\n{AUTHORITY}"}
    with pytest.raises(DeliveryFailed, match=r"tenant t1: .*too large"):
        catalog.put(validate(tenant("t1", database=huge)))


def test_the_end_is_found_where_no_record_stands_there(settings: Settings, catalog: Catalog) -> None:
    # The marker of a transaction takes an offset of its own that no reader gets to see.
    catalog.put(validate(tenant("t1")))
    value = latest(settings, Topics(settings).tenants)[b"t1"].replace(b'"suspended":false', b'"suspended":true')
    client = Producer({**configuration(settings), "transactional.id": settings.topic_prefix})
    client.init_transactions(FLUSH_SECONDS)
    client.begin_transaction()
    partition = partition_of(b"t1", settings.partitions)
    client.produce(Topics(settings).tenants, key=b"t1", value=value, partition=partition)
    client.commit_transaction(FLUSH_SECONDS)
    assert catalog.get("t1").suspended
    assert [found.suspended for found in catalog.list()] == [True]


def test_a_reading_ends_at_its_deadline(settings: Settings, catalog: Catalog) -> None:
    catalog.put(validate(tenant("t1")))
    with pytest.raises(WaitExpired, match="was not reached in time"):
        latest(settings, Topics(settings).tenants, timeout=-1.0)


def test_a_catalog_without_its_topic_says_so(kafka: KafkaServer) -> None:
    settings = Settings(kafka=kafka.bootstrap, topic_prefix="nobody-made-this")
    with pytest.raises(TopicsDiffer, match=r"nobody-made-this\.tenants"):
        Catalog(settings).list()
