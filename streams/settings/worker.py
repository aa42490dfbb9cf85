"""Bounds on what a worker does at once and on how long it waits."""

from __future__ import annotations

from pydantic import Field

from streams.settings.theme import Count, Milliseconds, Theme


class WorkerSettings(Theme):
    """Work and waiting."""

    run_records_max: Count = Field(
        default=1000,
        description="Records handed to a handler at once.",
    )
    runs_in_flight_max: Count = Field(
        default=8,
        description="Runs of a partition whose events Kafka has not acknowledged yet.",
    )
    claim_timeout_ms: Milliseconds = Field(
        default=10_000,
        description="Milliseconds a worker may take to write its claim to a partition and read it back.",
    )
    recovery_stall_timeout_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds without progress after which rebuilding from the log counts as stuck.",
    )
    drain_timeout_ms: Milliseconds = Field(
        default=8_000,
        description="Milliseconds from SIGTERM until the worker stops, finished or not.",
    )
    effects_per_worker_max: Count = Field(
        default=64,
        description="Connection attempts, checks and migrations that run at once in a worker.",
    )
    effects_per_server_max: Count = Field(
        default=16,
        description="Of those, how many run at once against one database server.",
    )
    connect_ready_timeout_ms: Milliseconds = Field(
        default=15_000,
        description="Milliseconds a connect waits for its tenant when the command does not say.",
    )
    waiters_per_tenant_max: Count = Field(
        default=10_000,
        description="Commands that wait for the same tenant at once; one more is answered at once.",
    )
