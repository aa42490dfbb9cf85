from __future__ import annotations

import secrets

import pytest
from confluent_kafka.admin import AdminClient

from streams.devstack.kafka import KafkaServer
from streams.kafka.clients import admin
from streams.settings import Settings


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    """Settings with a prefix that no other test has."""
    return Settings(kafka=kafka.bootstrap, topic_prefix=f"test-{secrets.token_hex(4)}", partitions=3)


@pytest.fixture
def client(settings: Settings) -> AdminClient:
    return admin(settings)
