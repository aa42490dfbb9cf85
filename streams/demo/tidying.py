"""Removing the demonstration's traces from a broker that others use too."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException

from streams.errors import KafkaRefused
from streams.kafka.clients import admin
from streams.settings import Settings
from streams.topics import declarations

REQUEST_SECONDS: Final = 15.0
"""How long removing may take."""


def remove_topics(settings: Settings) -> int:
    """Remove every topic of these settings, and the consumer group of their region; gives the number of topics.

    Raises:
        KafkaRefused: Kafka would not do it; the message names what is left.
    """
    client = admin(settings)
    names = [declaration.name for declaration in declarations(settings)]
    group = f"{settings.topic_prefix}.{settings.region}"
    refused = [
        *_refusals(client.delete_topics(names, operation_timeout=REQUEST_SECONDS).items()),
        *_refusals(client.delete_consumer_groups([group], request_timeout=REQUEST_SECONDS).items()),
    ]
    if refused:
        raise KafkaRefused("not removed: " + "; ".join(refused))
    return len(names)


def _refusals(answers: Iterable[tuple[str, Future[Any]]]) -> list[str]:
    refused = []
    for name, answer in answers:
        try:
            answer.result(2 * REQUEST_SECONDS)
        except KafkaException as error:
            refused.append(f"{name}: {error.args[0].str()}")
    return refused
