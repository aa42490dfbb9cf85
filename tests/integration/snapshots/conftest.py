from __future__ import annotations

from pathlib import Path

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.settings import Settings
from tests.integration.snapshots.place import Place
from tests.support.region import fresh_region


@pytest.fixture
def settings(kafka: KafkaServer, tmp_path: Path) -> Settings:
    """Topics that no other test has, a directory of its own, and snapshots only when a worker stops."""
    return fresh_region(
        kafka,
        "snapshots",
        partitions=8,
        worker_name="w1",
        data_dir=tmp_path / "data",
        snapshot_interval_ms=3_600_000,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=200,
        database_backoff_min_ms=100,
        database_backoff_max_ms=500,
    )


@pytest.fixture
def place(settings: Settings) -> Place:
    return Place(settings)
