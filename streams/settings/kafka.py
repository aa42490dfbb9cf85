"""How Kafka is reached, and what its topics look like."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, FilePath, SecretStr, field_validator, model_validator

from streams.settings.theme import PREFIX, Bytes, Milliseconds, Theme

PORT_MAX = 65535

SESSION_TIMEOUT_MS_MAX = 90_000
"""A worker's requests to Kafka wait for so long, and the group's answer may take a session timeout."""


class SecurityProtocol(StrEnum):
    """How a connection to Kafka is secured, by Kafka's own names."""

    PLAINTEXT = "PLAINTEXT"
    SSL = "SSL"
    SASL_PLAINTEXT = "SASL_PLAINTEXT"
    SASL_SSL = "SASL_SSL"

    @property
    def sasl(self) -> bool:
        """Whether the client logs in."""
        return self.name.startswith("SASL")

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.name.endswith("SSL")


class SaslMechanism(StrEnum):
    """How the client logs in: those that every Kafka client in use here can do."""

    PLAIN = "PLAIN"
    SCRAM_SHA_256 = "SCRAM-SHA-256"
    SCRAM_SHA_512 = "SCRAM-SHA-512"


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _absent(value: Any) -> Any:
    return None if value == "" else value


OptionalText = Annotated[str | None, BeforeValidator(_absent)]
OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_absent)]
OptionalFile = Annotated[FilePath | None, BeforeValidator(_absent)]
OptionalMechanism = Annotated[SaslMechanism | None, BeforeValidator(_absent), BeforeValidator(_upper)]


class KafkaSettings(Theme):
    """Kafka."""

    kafka: str = Field(
        default="127.0.0.1:9092",
        description="Bootstrap servers of Kafka, `host:port` with commas between.",
    )
    kafka_security_protocol: Annotated[SecurityProtocol, BeforeValidator(_upper)] = Field(
        default=SecurityProtocol.PLAINTEXT,
        description="How the connection is secured: `PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`.",
    )
    kafka_security_sasl_mechanism: OptionalMechanism = Field(
        default=None,
        description="How to log in with a SASL protocol: `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`.",
    )
    kafka_security_user: OptionalText = Field(default=None, description="User name for a SASL protocol.")
    kafka_security_password: OptionalSecret = Field(default=None, description="Password for a SASL protocol.")
    kafka_security_ca: OptionalFile = Field(
        default=None,
        description="File with the certificate authorities to trust, PEM; those of the system when left out.",
    )
    kafka_security_certificate: OptionalFile = Field(
        default=None,
        description="File with the client's certificate, PEM, where Kafka asks for one.",
    )
    kafka_security_key: OptionalFile = Field(
        default=None,
        description="File with the private key of the client's certificate, PEM, without a pass phrase.",
    )
    topic_prefix: str = Field(
        default="connect",
        pattern=r"^[A-Za-z0-9._-]{1,100}$",
        description="What every topic's name begins with.",
    )
    partitions: Annotated[int, Field(gt=0, le=10_000)] = Field(
        default=16,
        description="Partitions of every topic. It decides which partition a tenant is in, so it is chosen once.",
    )
    replication_factor: Annotated[int, Field(gt=0, le=32767)] = Field(
        default=1,
        description="Copies of every partition among the brokers; 3 in production.",
    )
    session_timeout_ms: Milliseconds = Field(
        default=10_000,
        le=SESSION_TIMEOUT_MS_MAX,
        description="Milliseconds without a heartbeat after which a worker's partitions are given to others.",
    )
    heartbeat_interval_ms: Milliseconds = Field(
        default=200,
        description="Milliseconds between two heartbeats of a worker; this is also how soon it hears of a rebalance.",
    )
    linger_ms: Annotated[int, Field(ge=0)] = Field(
        default=0,
        description="Milliseconds a command, an event or an answer waits for others to be sent with. 2 saves a worker "
        "a tenth of its processor time, and makes a connect 12 ms slower.",
    )
    delivery_timeout_ms: Milliseconds = Field(
        default=30_000,
        description="Milliseconds Kafka may take to acknowledge a record before it counts as lost.",
    )
    value_bytes_max: Bytes = Field(
        default=1_000_000,
        description="Bytes of a command's value: one of this size or more is refused.",
    )

    @field_validator("kafka")
    @classmethod
    def _servers(cls, value: str) -> str:
        servers = [server.strip() for server in value.split(",")]
        wrong = [server for server in servers if not _is_address(server)]
        if wrong:
            raise ValueError(f"must be host:port, with commas between; this is not: {', '.join(map(repr, wrong))}")
        return ",".join(servers)

    @model_validator(mode="after")
    def _login_is_whole(self) -> Self:
        needed = ("sasl_mechanism", "user", "password") if self.kafka_security_protocol.sasl else ()
        missing = [name for name in needed if getattr(self, f"kafka_security_{name}") is None]
        if missing:
            names = ", ".join(f"{PREFIX}KAFKA_SECURITY_{name.upper()}" for name in missing)
            raise ValueError(f"{PREFIX}KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol} and needs {names}")
        if (self.kafka_security_certificate is None) != (self.kafka_security_key is None):
            raise ValueError(f"{PREFIX}KAFKA_SECURITY_CERTIFICATE and {PREFIX}KAFKA_SECURITY_KEY go together")
        return self

    @model_validator(mode="after")
    def _heartbeats_fit_the_session(self) -> Self:
        if self.heartbeat_interval_ms >= self.session_timeout_ms:
            raise ValueError(f"{PREFIX}HEARTBEAT_INTERVAL_MS must be below {PREFIX}SESSION_TIMEOUT_MS")
        return self


def _is_address(server: str) -> bool:
    found = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})", server)
    return found is not None and 0 < int(found[1]) <= PORT_MAX
