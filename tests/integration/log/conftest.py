from __future__ import annotations

import secrets

import pytest

from streams.devstack.kafka.server import KafkaServer
from streams.kafka.administration import apply
from streams.kafka.clients import consumer_configuration
from streams.log.reader import open_consumer, stretches
from streams.settings import Settings
from streams.topics import Topics


@pytest.fixture
def settings(kafka: KafkaServer) -> Settings:
    settings = Settings.model_validate(
        {"kafka": kafka.bootstrap, "topic_prefix": f"log-{secrets.token_hex(4)}", "partitions": 2}
    )
    apply(settings)
    topics = Topics(settings)
    with open_consumer(consumer_configuration(settings, "test")) as consumer:
        for topic in (topics.events, topics.replies):
            # It waits for the leaders.
            stretches(consumer, topic)
    return settings
