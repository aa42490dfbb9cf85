"""A process of its own that reads broadcasts as a gateway would, and tells how old each is when it arrives.

Arguments: bootstrap servers, topic, partitions with commas between them, seconds. Prints a JSON list of milliseconds
when it ends.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Final

import msgspec
from confluent_kafka import Consumer, TopicPartition

POLL_S: Final = 0.1
WARM_UP_S: Final = 3.0
"""Rows written this early do not count."""

END: Final = -1
"""Where a partition ends."""


class _Payload(msgspec.Struct):
    at: float


class _Written(msgspec.Struct):
    payload: _Payload


def main() -> None:
    """Read for so many seconds."""
    servers, topic, partitions, seconds = sys.argv[1:]
    reader = Consumer({"bootstrap.servers": servers, "group.id": "arrivals", "fetch.wait.max.ms": 100})
    reader.assign([TopicPartition(topic, int(partition), END) for partition in partitions.split(",")])
    decode = msgspec.json.Decoder(_Written).decode
    reader.poll(POLL_S)
    sys.stderr.write("ready\n")
    sys.stderr.flush()
    begun = time.time()
    ages: list[float] = []
    while time.time() < begun + float(seconds):
        message = reader.poll(POLL_S)
        value = None if message is None else message.value()
        if value is None:
            continue
        now, at = time.time(), decode(value).payload.at
        if at > begun + WARM_UP_S:
            ages.append((now - at) * 1000)
    reader.close()
    sys.stdout.write(json.dumps(ages))


if __name__ == "__main__":
    main()
