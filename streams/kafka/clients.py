"""Clients of Kafka, configured from the settings.

Property names are librdkafka's: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnreachable
from streams.settings import Settings
from streams.topics import BROADCAST_BYTES_MAX

REACH_SECONDS: Final = 4.0
"""How long Kafka may take to answer a client that asks whether it is there."""

REQUEST_BYTES_MAX: Final = BROADCAST_BYTES_MAX
"""Bytes of one record that a producer lets through; what a topic takes is the topic's own limit."""

QUEUE_KILOBYTES_MAX: Final = 2_147_483_647
"""What librdkafka can be told at the most: a queue that is full would end a worker."""

REASONS_MAX: Final = 3
"""Reasons that a message about an unreachable Kafka repeats."""

_LOGGER: Final = logging.getLogger(__name__)
# A property that is called experimental is used on purpose; see `prefix_producer`.
_LOGGER.addFilter(lambda record: "CONFWARN" not in record.getMessage())


def configuration(settings: Settings) -> dict[str, Any]:
    """What every client needs: where Kafka is, how to log in, and who asks. It holds the password."""
    security = {
        "security.protocol": settings.kafka_security_protocol.value,
        "sasl.mechanism": settings.kafka_security_sasl_mechanism and settings.kafka_security_sasl_mechanism.value,
        "sasl.username": settings.kafka_security_user,
        "sasl.password": settings.kafka_security_password and settings.kafka_security_password.get_secret_value(),
        "ssl.ca.location": settings.kafka_security_ca and str(settings.kafka_security_ca),
        "ssl.certificate.location": settings.kafka_security_certificate and str(settings.kafka_security_certificate),
        "ssl.key.location": settings.kafka_security_key and str(settings.kafka_security_key),
    }
    return {
        "bootstrap.servers": settings.kafka,
        "client.id": settings.worker_name,
        **{name: value for name, value in security.items() if value is not None},
    }


def producer_configuration(settings: Settings, **overrides: Any) -> dict[str, Any]:
    """A producer that is idempotent, acknowledged by all replicas, and partitions as Kafka's own clients do.

    Args:
        settings: where Kafka is, and how long records linger and deliveries take.
        overrides: other properties, with ``_`` for each dot.
    """
    return {
        **configuration(settings),
        "enable.idempotence": True,
        "acks": "all",
        "linger.ms": settings.linger_ms,
        "delivery.timeout.ms": settings.delivery_timeout_ms,
        "compression.type": "lz4",
        "partitioner": "murmur2_random",
        "message.max.bytes": REQUEST_BYTES_MAX,
        **_properties(overrides),
    }


def prefix_producer(settings: Settings) -> Producer:
    """A producer that leaves no gap: it gives no record up by itself, so what arrives is a prefix of what was sent.

    Whoever uses it watches the time itself, and purges what is left before giving up. How many records wait in it is
    bounded by the runs that a worker has in flight, so the queue has no bound in records of its own.
    """
    return producer(
        settings,
        delivery_timeout_ms=0,
        enable_gapless_guarantee=True,
        queue_buffering_max_messages=0,
        queue_buffering_max_kbytes=QUEUE_KILOBYTES_MAX,
    )


def repeating_producer(settings: Settings) -> Producer:
    """A producer for what may arrive twice and is known by its id or key: it sends its first record at once.

    An idempotent one asks for a producer's id first, which librdkafka does half a second after it began. One request at
    a time keeps the order.
    """
    return producer(settings, enable_idempotence=False, max_in_flight_requests_per_connection=1)


def consumer_configuration(settings: Settings, group: str, **overrides: Any) -> dict[str, Any]:
    """A consumer that commits nothing by itself and begins where its partitions begin.

    Args:
        settings: where Kafka is, and the heartbeats of a group's member.
        group: consumer group; it is only a name to one that assigns partitions to itself.
        overrides: other properties, with ``_`` for each dot.
    """
    return {
        **configuration(settings),
        "group.id": group,
        "session.timeout.ms": settings.session_timeout_ms,
        "heartbeat.interval.ms": settings.heartbeat_interval_ms,
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "allow.auto.create.topics": False,
        **_properties(overrides),
    }


def admin(settings: Settings) -> AdminClient:
    """A client for topics and their policies."""
    return AdminClient(configuration(settings), logger=_LOGGER)


def producer(settings: Settings, **overrides: Any) -> Producer:
    """A producer of :func:`producer_configuration`; what the library has to say goes to this module's logger."""
    return Producer(producer_configuration(settings, **overrides), logger=_LOGGER)


def consumer(settings: Settings, group: str, **overrides: Any) -> Consumer:
    """A consumer of :func:`consumer_configuration`; what the library has to say goes to this module's logger."""
    return Consumer(consumer_configuration(settings, group, **overrides), logger=_LOGGER)


def reachable(settings: Settings, timeout: float = REACH_SECONDS) -> None:
    """Return when a broker answers.

    Args:
        settings: where Kafka is.
        timeout: seconds it may take.

    Raises:
        KafkaUnreachable: none answered, with the reasons that the connections failed for.
    """
    errors: list[KafkaError] = []
    # What the library would log on every attempt is in the error that is raised.
    properties: dict[str, Any] = {**configuration(settings), "error_cb": errors.append, "log_level": 0}
    client = AdminClient(properties, logger=_LOGGER)
    try:
        client.list_topics(timeout=timeout)
    except KafkaException as error:
        client.poll(0)
        raise KafkaUnreachable(f"no broker at {settings.kafka} answered: {_reasons(errors, error)}") from None


def _reasons(errors: Sequence[KafkaError], last: KafkaException) -> str:
    said = [error.str() for error in errors if error.code() != KafkaError._ALL_BROKERS_DOWN]  # noqa: SLF001 - its name
    distinct = list(dict.fromkeys(re.sub(r" \(after .*\)$", "", text) for text in said))
    return "; ".join(distinct[:REASONS_MAX] or [last.args[0].str()])


def _properties(overrides: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in overrides.items()}
