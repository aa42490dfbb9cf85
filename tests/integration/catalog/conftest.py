from __future__ import annotations

import pytest

from streams.catalog.store import Catalog
from streams.devstack.kafka import KafkaServer
from streams.settings import Settings
from tests.support.region import fresh_region


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Settings with topics that no other test has, and a key of their own."""
    return fresh_region(kafka, "test", partitions=3)


@pytest.fixture
def catalog(settings: Settings) -> Catalog:
    return Catalog(settings)
