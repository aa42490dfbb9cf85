"""Apache Kafka for the local stack, from its jars, without Docker."""

from __future__ import annotations

from streams.devstack.kafka.jars import KAFKA_VERSION, check_jars, default_cache, ensure_jars
from streams.devstack.kafka.server import BACK_SOON, KafkaServer

__all__ = ["BACK_SOON", "KAFKA_VERSION", "KafkaServer", "check_jars", "default_cache", "ensure_jars"]
