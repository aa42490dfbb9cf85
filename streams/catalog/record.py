"""The catalog's records on Kafka: all in clear text but the database, which is one ciphertext."""

from __future__ import annotations

import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from streams.catalog.crypto import Cipher, Envelope
from streams.catalog.entry import CatalogEntry, Database, Limits, Replication, TenantId
from streams.errors import CatalogUnreadable, CredentialsUnreadable


class CatalogSummary(BaseModel):
    """What can be known of a tenant without a key."""

    # Fields that a newer version added are passed over by an older one.
    model_config = ConfigDict(extra="ignore", frozen=True)

    tenant: TenantId
    name: str | None = None
    region: str = Field(min_length=1, description="platform region")
    suspended: bool = False
    replication: Replication = Replication()
    limits: Limits = Limits()


class CatalogRecord(CatalogSummary):
    """The value of a record on the topic of tenants."""

    version: Literal[1] = Field(default=1, description="version of this record's shape")
    database: Envelope = Field(description="the database part of the entry, encrypted for the tenant")


def encode(entry: CatalogEntry, cipher: Cipher) -> bytes:
    """The bytes to write for an entry.

    Raises:
        SettingsInvalid: there is no key to encrypt with.
    """
    record = CatalogRecord(
        tenant=entry.tenant,
        name=entry.name,
        region=entry.region,
        suspended=entry.suspended,
        replication=entry.replication,
        limits=entry.limits,
        database=cipher.encrypt(entry.tenant, _clear_text(entry.database)),
    )
    return record.model_dump_json().encode()


def decode(value: bytes, cipher: Cipher) -> CatalogEntry:
    """The entry that was written.

    Raises:
        CatalogUnreadable: the value is not a record of the catalog.
        CredentialsUnreadable: its credentials do not open.
    """
    record = parse(value)
    text = cipher.decrypt(record.tenant, record.database)
    try:
        database = Database.model_validate_json(text)
        return CatalogEntry(
            tenant=record.tenant,
            name=record.name,
            region=record.region,
            suspended=record.suspended,
            database=database,
            replication=record.replication,
            limits=record.limits,
        )
    except ValidationError as error:
        fields = _places(error)
        raise CredentialsUnreadable(
            f"the database part of tenant {record.tenant} opens but does not have the fields expected: {fields}"
        ) from None


def summary(value: bytes) -> CatalogSummary:
    """What a record says in clear text.

    Raises:
        CatalogUnreadable: the value is not a record of the catalog.
    """
    record = parse(value)
    return CatalogSummary.model_validate({name: getattr(record, name) for name in CatalogSummary.model_fields})


def suspended(value: bytes, *, to: bool) -> bytes:
    """The same record with ``suspended`` set; the credentials stay as they are, and no key is needed.

    Raises:
        CatalogUnreadable: the value is not a record of the catalog.
    """
    return parse(value).model_copy(update={"suspended": to}).model_dump_json().encode()


def parse(value: bytes) -> CatalogRecord:
    """The record, its credentials closed.

    Raises:
        CatalogUnreadable: the value is not a record of the catalog.
    """
    try:
        return CatalogRecord.model_validate_json(value)
    except ValidationError as error:
        raise CatalogUnreadable(f"not a record of the catalog: {_places(error)}") from None


def _clear_text(database: Database) -> bytes:
    fields = database.model_dump(mode="json")
    return json.dumps({**fields, "password": database.password.get_secret_value()}).encode()


def _places(error: ValidationError) -> str:
    # What was found is left out: it may be a password in the wrong place.
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, detail['loc'])) or 'value'}: {detail['msg']}" for detail in details)
