"""Bounds on streaming tenants' rows."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from streams.settings.theme import PREFIX, Bytes, Count, Milliseconds, Theme


class ReplicationSettings(Theme):
    """Streaming tenants' rows."""

    replication_recovery_window_ms: Milliseconds = Field(
        default=7_200_000,
        description="Milliseconds a tenant's rows may not be streamed before it is stopped.",
    )
    replication_backoff_min_ms: Milliseconds = Field(
        default=5_000,
        description="Shortest wait before streaming is tried again, in milliseconds.",
    )
    replication_backoff_max_ms: Milliseconds = Field(
        default=300_000,
        description="Longest wait before streaming is tried again, in milliseconds.",
    )
    replication_setup_timeout_ms: Milliseconds = Field(
        default=240_000,
        description="Milliseconds each statement that sets up streaming may take; making a slot waits for every open "
        "transaction.",
    )
    replication_watchdog_interval_ms: Milliseconds = Field(
        default=300_000,
        description="How often a stream and its slot are looked at, in milliseconds.",
    )
    replication_watchdog_timeout_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds a stream may take to show that it lives.",
    )
    replication_position_interval_ms: Milliseconds = Field(
        default=10_000,
        description="How often the point to resume from is written while rows are streamed, in milliseconds.",
    )
    broadcast_linger_ms: Milliseconds = Field(
        default=2,
        description="Milliseconds a row waits for others to be sent with.",
    )
    broadcasts_in_flight_max: Count = Field(
        default=10_000,
        description="Rows of a tenant that Kafka has not acknowledged yet; the stream waits at that many.",
    )
    broadcast_bytes_in_flight_max: Bytes = Field(
        default=16 * 1024 * 1024,
        description="Bytes of a tenant's rows that Kafka has not acknowledged yet; the stream waits at that many.",
    )
    broadcast_bytes_per_worker_max: Bytes = Field(
        default=256 * 1024 * 1024,
        description="Bytes of all tenants' rows that Kafka has not acknowledged yet; streams wait at that many.",
    )

    @model_validator(mode="after")
    def _replication_backoff_has_a_range(self) -> Self:
        if self.replication_backoff_min_ms > self.replication_backoff_max_ms:
            raise ValueError(f"{PREFIX}REPLICATION_BACKOFF_MIN_MS must not be above {PREFIX}REPLICATION_BACKOFF_MAX_MS")
        return self
