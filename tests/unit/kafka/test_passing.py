"""Which errors of Kafka pass by themselves."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from streams.kafka.passing import passes


@pytest.mark.parametrize(
    "code",
    [
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.FENCED_LEADER_EPOCH,
    ],
)
def test_what_a_broker_says_that_stops_or_starts_passes(code: int) -> None:
    assert passes(KafkaError(code))


@pytest.mark.parametrize("code", [KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError._AUTHENTICATION])
def test_what_no_waiting_mends_does_not_pass(code: int) -> None:
    assert not passes(KafkaError(code))
