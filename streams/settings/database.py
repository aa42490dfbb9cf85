"""Bounds on the work with tenants' databases."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from streams.settings.theme import PREFIX, Milliseconds, Theme


class DatabaseSettings(Theme):
    """Tenants' databases."""

    database_connect_timeout_ms: Milliseconds = Field(
        default=10_000,
        description="Milliseconds to open one connection to a tenant's database.",
    )
    database_statement_timeout_ms: Milliseconds = Field(
        default=30_000,
        description="Milliseconds one statement on a tenant's database may take.",
    )
    migrations_timeout_ms: Milliseconds = Field(
        default=50_000,
        description="Milliseconds all migrations of a tenant's database may take.",
    )
    database_close_timeout_ms: Milliseconds = Field(
        default=5_000,
        description="Milliseconds connections may take to close before they are dropped.",
    )
    database_recovery_window_ms: Milliseconds = Field(
        default=600_000,
        description="Milliseconds a lost database may stay away before its tenant is stopped.",
    )
    database_backoff_min_ms: Milliseconds = Field(
        default=1_000,
        description="Shortest wait between two attempts to reconnect, in milliseconds.",
    )
    database_backoff_max_ms: Milliseconds = Field(
        default=30_000,
        description="Longest wait between two attempts to reconnect, in milliseconds.",
    )

    @model_validator(mode="after")
    def _backoff_has_a_range(self) -> Self:
        if self.database_backoff_min_ms > self.database_backoff_max_ms:
            raise ValueError(f"{PREFIX}DATABASE_BACKOFF_MIN_MS must not be above {PREFIX}DATABASE_BACKOFF_MAX_MS")
        return self
