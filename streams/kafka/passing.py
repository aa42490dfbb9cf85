"""Errors of Kafka that pass by themselves: a partition is being given another leader, or a broker comes back."""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

PASSING: Final = frozenset(
    {
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError._TRANSPORT,  # noqa: SLF001  its public name
        KafkaError._TIMED_OUT,  # noqa: SLF001  its public name
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001  its public name
    }
)
"""What is asked again, within the asker's own bound. An unknown topic is one that some broker has not heard of yet."""


def passes(error: KafkaError) -> bool:
    """Whether asking again may be answered."""
    return bool(error.code() in PASSING or error.retriable())
