from __future__ import annotations

import secrets

import pytest

from streams.catalog.crypto import new_key
from streams.catalog.store import Catalog
from streams.devstack.kafka import KafkaServer
from streams.kafka.administration import apply
from streams.settings import Settings


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Settings with topics that no other test has, and a key of their own."""
    settings = Settings.model_validate(
        {
            "kafka": kafka.bootstrap,
            "topic_prefix": f"test-{secrets.token_hex(4)}",
            "partitions": 3,
            "encryption_keys": {"k1": new_key()},
        }
    )
    apply(settings)
    return settings


@pytest.fixture
def catalog(settings: Settings) -> Catalog:
    return Catalog(settings)
