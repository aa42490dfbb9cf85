"""The catalog on its compacted topic, for programs that wait for each answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from statemachine.errors import TenantNotFound
from streams.catalog import record
from streams.catalog.crypto import Cipher
from streams.catalog.entry import CatalogEntry
from streams.catalog.record import CatalogSummary
from streams.errors import CatalogUnreadable, DeliveryFailed
from streams.kafka.clients import reachable, repeating_producer
from streams.kafka.compacted import latest
from streams.settings import Settings
from streams.topics import Topics

RECORDS_IN_FLIGHT_MAX: Final = 1000
"""Records that are sent before their acknowledgements are waited for."""

ACKNOWLEDGEMENT_GRACE_SECONDS: Final = 2.0
"""How much longer than the delivery timeout an acknowledgement is waited for, so that the producer speaks first."""


class Catalog:
    """Tenants, read from and written to the topic of tenants.

    Each reading reads the topic anew, so it shows all that was acknowledged before it began. Two programs that change
    the same tenant at the same time do not see each other; the later record holds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = Topics(settings).tenants
        self._cipher = Cipher(settings.encryption_keys)

    def put(self, entry: CatalogEntry) -> None:
        """Write one entry; see :meth:`put_all`."""
        self.put_all([entry])

    def put_all(self, entries: Sequence[CatalogEntry]) -> None:
        """Write entries in place of what was there, and return when Kafka has acknowledged all of them.

        Raises:
            SettingsInvalid: there is no key to encrypt with; nothing was written.
            DeliveryFailed: Kafka did not acknowledge all of them; the message names the tenants.
            KafkaUnreachable: no broker answered.
        """
        self._write([(entry.tenant, record.encode(entry, self._cipher)) for entry in entries])

    def get(self, tenant: str) -> CatalogEntry:
        """The entry of a tenant, with its password.

        Raises:
            TenantNotFound: there is none.
            CatalogUnreadable: its record is not one.
            CredentialsUnreadable: its credentials do not open.
            KafkaUnreachable: no broker answered.
        """
        return record.decode(self._checked(tenant), self._cipher)

    def list(self) -> list[CatalogSummary]:
        """What is known of every tenant without a key, in the order of tenant ids.

        Raises:
            CatalogUnreadable: names the tenants whose record is not one.
            KafkaUnreachable: no broker answered.
        """
        found, unreadable = [], []
        for key, value in sorted(latest(self._settings, self._topic).items()):
            tenant = key.decode(errors="backslashreplace")
            try:
                found.append(_own(tenant, value))
            except CatalogUnreadable as error:
                unreadable.append(str(error))
        if unreadable:
            raise CatalogUnreadable("; ".join(unreadable))
        return found

    def suspend(self, tenant: str) -> None:
        """Mark a tenant as suspended. No key is needed.

        Raises:
            TenantNotFound, CatalogUnreadable, KafkaUnreachable: as in :meth:`get`.
            DeliveryFailed: Kafka did not acknowledge it.
        """
        self._write([(tenant, record.suspended(self._checked(tenant), to=True))])

    def resume(self, tenant: str) -> None:
        """Lift a suspension; errors as in :meth:`suspend`."""
        self._write([(tenant, record.suspended(self._checked(tenant), to=False))])

    def remove(self, tenant: str) -> None:
        """Take a tenant out, readable or not; errors as in :meth:`suspend`."""
        self._value(tenant)
        self._write([(tenant, None)])

    def _checked(self, tenant: str) -> bytes:
        value = self._value(tenant)
        _own(tenant, value)
        return value

    def _value(self, tenant: str) -> bytes:
        key = tenant.encode()
        value = latest(self._settings, self._topic, key=key).get(key)
        if value is None:
            raise TenantNotFound(f"the catalog has no tenant {tenant!r}")
        return value

    def _write(self, records: Sequence[tuple[str, bytes | None]]) -> None:
        reachable(self._settings)
        client = repeating_producer(self._settings)
        for start in range(0, len(records), RECORDS_IN_FLIGHT_MAX):
            self._deliver(client, records[start : start + RECORDS_IN_FLIGHT_MAX])

    def _deliver(self, client: Producer, records: Sequence[tuple[str, bytes | None]]) -> None:
        pending = dict.fromkeys(range(len(records)), "no acknowledgement in time")

        def arrived(number: int, error: KafkaError | None, _: Message) -> None:
            if error is None:
                del pending[number]
            else:
                pending[number] = error.str()

        for number, (tenant, value) in enumerate(records):
            try:
                client.produce(self._topic, key=tenant.encode(), value=value, on_delivery=partial(arrived, number))
            except KafkaException as error:
                pending[number] = error.args[0].str()
        client.flush(self._settings.delivery_timeout_ms / 1000 + ACKNOWLEDGEMENT_GRACE_SECONDS)
        if pending:
            reasons = "; ".join(f"tenant {records[number][0]}: {reason}" for number, reason in pending.items())
            raise DeliveryFailed(f"not written to {self._topic}: {reasons}")


def _own(tenant: str, value: bytes) -> CatalogSummary:
    try:
        found = record.summary(value)
    except CatalogUnreadable as error:
        raise CatalogUnreadable(f"tenant {tenant}: {error}") from None
    if found.tenant != tenant:
        raise CatalogUnreadable(f"tenant {tenant}: its record is that of tenant {found.tenant}")
    return found
