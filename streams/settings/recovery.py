"""How the state of partitions is kept on disk, and how long a recovery may stand still."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from streams.settings.theme import Count, Milliseconds, Theme


class RecoverySettings(Theme):
    """Snapshots and recovery."""

    snapshot_interval_ms: Annotated[int, Field(ge=0)] = Field(
        default=10_000,
        description="How often the state of a partition that changed is written to DATA_DIR, in milliseconds; 0 for "
        "never. A worker finds its snapshots again under the same WORKER_NAME.",
    )
    snapshot_events_max: Count = Field(
        default=20_000,
        description="Events of a partition after which its state is written without waiting for that interval.",
    )
    standbys: Annotated[int, Field(ge=0)] = Field(
        default=1,
        description="Workers that follow each partition beside its owner, so that one of them can take it over without "
        "reading the log first; each folds every event once more.",
    )
    recovery_stall_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds a recovery may stand still before the worker ends and says where it stood.",
    )
    canary_interval_ms: Milliseconds = Field(
        default=5_000,
        description="How often a worker sends a record to each partition of commands that it reads, in milliseconds.",
    )
    canary_timeout_ms: Milliseconds = Field(
        default=30_000,
        description="Milliseconds such a record may be on a partition without being read before the worker ends, so "
        "that another one gets its tenants.",
    )
