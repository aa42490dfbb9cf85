"""The dead-letter topic: what could not be read, kept as it was, with where it came from and why."""

from __future__ import annotations

from statemachine.errors import TenantConnectError
from statemachine.limits import TEXT_LENGTH_MAX
from streams.log.producer import Headers, LogProducer, Receipts
from streams.worker.run import Fetched


class DeadLetters:
    """Parks records that break the contract.

    Args:
        topic: the dead-letter topic.
        producer: where they go.
    """

    def __init__(self, topic: str, producer: LogProducer) -> None:
        self._topic = topic
        self._producer = producer

    def park(self, source: str, partition: int, record: Fetched, error: TenantConnectError, receipts: Receipts) -> None:
        """Park a record of ``source`` with its original bytes; headers say where it stood and what is wrong."""
        message = str(error)[:TEXT_LENGTH_MAX]
        headers: Headers = [
            *record.headers,
            ("topic", source.encode()),
            ("partition", str(partition).encode()),
            ("offset", str(record.offset).encode()),
            ("error_code", error.code.encode()),
            ("error_message", message.encode()),
        ]
        self._producer.send(self._topic, record.key, record.value, headers=headers, receipts=receipts)
