from __future__ import annotations

import secrets

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.kafka.administration import apply
from streams.settings import Settings


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    settings = Settings.model_validate(
        {"kafka": kafka.bootstrap, "topic_prefix": f"log-{secrets.token_hex(4)}", "partitions": 2}
    )
    apply(settings)
    return settings
