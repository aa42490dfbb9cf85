"""What a seed's world looks like, and how its workers are set: times are short, so that much happens in them."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from streams.settings import Settings

PARTITIONS: Final = 3


class Shape(NamedTuple):
    """What differs from world to world, beside the faults.

    Attributes:
        tenants: how many there are; with one, everything happens to it.
        clients: how many ask.
        think_s: how long a client thinks between two commands, at most.
        records_max: most records of a partition that one fetch returns.
        status_weight: how often a status is asked, beside a connect's 8.
        impatience: share of steps in which the world moves on although workers have something to do.
    """

    tenants: int
    clients: int
    think_s: float
    records_max: int
    status_weight: int
    impatience: float


def shape_of(seed: int) -> Shape:
    """The shape of a seed's world."""
    chance = random.Random(f"shape {seed}")
    return Shape(
        tenants=chance.choice((1, 2, 4, 6)),
        clients=chance.randint(2, 6),
        think_s=chance.choice((0.05, 0.2, 0.5)),
        records_max=chance.choice((2, 8, 50)),
        status_weight=chance.choice((4, 4, 60)),
        impatience=0.3 * chance.random() ** 2,
    )


def settings_of(name: str, key: str) -> Settings:
    """A worker's settings: times are short, so that much happens in them."""
    return Settings.model_validate(
        {
            "worker_name": name,
            "partitions": PARTITIONS,
            "encryption_keys": {"k1": key},
            "session_timeout_ms": 3_000,
            "heartbeat_interval_ms": 400,
            "claim_timeout_ms": 2_500,
            "delivery_timeout_ms": 4_000,
            "drain_timeout_ms": 2_000,
            "database_connect_timeout_ms": 1_500,
            "database_statement_timeout_ms": 1_500,
            "database_close_timeout_ms": 500,
            "database_recovery_window_ms": 5_000,
            "database_backoff_min_ms": 100,
            "database_backoff_max_ms": 800,
            "waiters_per_tenant_max": 3,
            "runs_in_flight_max": 4,
            "http_port": -1,
            "users_check_interval_ms": 500,
            "idle_window_ms": 2_000,
            "idle_grace_ms": 800,
            "reconnect_interval_ms": 1_500,
            "connect_failures_window_ms": 2_000,
            "replication_backoff_min_ms": 200,
            "replication_backoff_max_ms": 1_500,
            "replication_recovery_window_ms": 6_000,
            "housekeeping_interval_ms": 12_000,
            "housekeeping_jitter_max_ms": 2_000,
            "partitions_retry_ms": 3_000,
            "snapshot_interval_ms": 700,
            "snapshot_events_max": 15,
            "recovery_stall_ms": 12_000,
            "effects_per_worker_max": 4,
            "effects_per_server_max": 3,
        }
    )
