"""What the catalog knows of a tenant, as people write it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

TENANT_ID_LENGTH_MAX = 128


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must have no control characters and nothing else that cannot be printed")
    return text


PRINTABLE = AfterValidator(_printable)
TenantId = Annotated[
    str,
    Field(min_length=1, max_length=TENANT_ID_LENGTH_MAX, description="tenant id, the Kafka key"),
    PRINTABLE,
]
OtherText = Annotated[str, Field(min_length=1, max_length=255), PRINTABLE]
Identifier = Annotated[str, Field(min_length=1, max_length=63), PRINTABLE]


class Tls(StrEnum):
    """How the connection to the database is secured."""

    DISABLE = "disable"
    REQUIRE = "require"
    VERIFY_FULL = "verify-full"


class ReplicationMode(StrEnum):
    """What becomes of rows written while nobody streams."""

    DURABLE = "durable"
    TEMPORARY = "temporary"
    OFF = "off"


def _tls_of(given: dict[str, Any]) -> Tls:
    """Whoever names an authority wants the server verified by it."""
    return Tls.REQUIRE if given.get("ca") is None else Tls.VERIFY_FULL


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(_Strict):
    """Where a tenant's PostgreSQL is and how to log in. ``password`` never leaves in clear text."""

    host: OtherText
    port: int = Field(default=5432, ge=1, le=65535)
    name: Identifier
    user: Identifier
    password: SecretStr
    ca: str | None = Field(default=None, description="PEM text of the certificate authority, for verify-full")
    tls: Tls = Field(default_factory=_tls_of, description="left out: verify-full where ca is given, else require")
    pool_size: int = Field(default=1, ge=1, le=1000, description="connections of the durable pool")
    queue_target_ms: int = Field(default=5000, ge=1, description="longest wait for a pooled connection")


class Replication(_Strict):
    """How rows of ``realtime.messages`` are streamed."""

    mode: ReplicationMode = ReplicationMode.DURABLE


class Limits(_Strict):
    """Bounds on a tenant's broadcasts."""

    max_events_per_second: int = Field(default=100, ge=1)
    max_payload_kb: int = Field(default=3000, ge=1)


class CatalogEntry(_Strict):
    """One tenant of the catalog."""

    tenant: TenantId
    name: OtherText | None = None
    region: Annotated[Identifier, Field(description="platform region")]
    suspended: bool = False
    database: Database
    replication: Replication = Replication()
    limits: Limits = Limits()
