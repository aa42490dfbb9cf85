"""Errors of Kafka that pass by themselves, and those that do not.

While brokers restart and leaders move, clients are told many things, and not all are marked as retriable: an
epoch that is over, a topic that one broker has not heard of, a partition that it does not have while it stops or
starts, no leader at all. So everything counts as passing, within the asker's own bound, but what no waiting mends.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

FINAL: Final = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError._AUTHENTICATION,  # noqa: SLF001  its public name
    }
)
"""What asking again cannot change."""


def passes(error: KafkaError) -> bool:
    """Whether asking again may be answered."""
    return error.code() not in FINAL
