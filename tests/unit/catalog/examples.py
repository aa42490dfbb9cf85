"""Tenants for tests of the catalog."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from streams.catalog.crypto import Cipher, new_key
from tests.integration.tenantdb.certificates import authority

PASSWORD = "hunter2-correct-horse"
AUTHORITY = authority("an authority").pem
CIPHER = Cipher({"k1": SecretStr(new_key())})


def tenant(tenant_id: str = "t1", **fields: Any) -> dict[str, Any]:
    """A tenant as people hand it in."""
    database = {"host": "db.example", "name": "postgres", "user": "owner", "password": PASSWORD}
    return {"tenant": tenant_id, "region": "us-east-1", "database": database, **fields}


def with_database(**fields: Any) -> dict[str, Any]:
    """A tenant with other fields in its database part."""
    return {**tenant(), "database": {**tenant()["database"], **fields}}
