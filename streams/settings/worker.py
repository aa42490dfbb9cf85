"""Bounds on what a worker does at once and on how long it waits."""

from __future__ import annotations

from pydantic import Field

from streams.settings.theme import Count, Milliseconds, Theme


class WorkerSettings(Theme):
    """Work and waiting."""

    runs_in_flight_max: Count = Field(
        default=8,
        description="Runs of a partition whose events Kafka has not acknowledged yet.",
    )
    claim_timeout_ms: Milliseconds = Field(
        default=10_000,
        description="Milliseconds a worker may take to write its claim to a partition and read it back.",
    )
    drain_timeout_ms: Milliseconds = Field(
        default=8_000,
        description="Milliseconds from SIGTERM until the worker stops, finished or not.",
    )
    effects_per_worker_max: Count = Field(
        default=64,
        description="Connection attempts, checks and migrations that run at once in a worker; besides, as many streams "
        "are started at once.",
    )
    effects_per_server_max: Count = Field(
        default=16,
        description="Of those, how many run at once against one database server.",
    )
    waiters_per_tenant_max: Count = Field(
        default=10_000,
        description="Commands that wait for the same tenant at once; one more is answered at once.",
    )
