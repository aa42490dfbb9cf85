"""Where the measuring takes place: a broker, and topics that are taken away again."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.devstack.kafka import KafkaServer
from streams.kafka.administration import apply
from streams.kafka.clients import admin
from streams.settings import Settings
from streams.settings.theme import PREFIX
from tests.bench.stock import COMMANDS, EVENTS

ADMIN_TIMEOUT_S: Final = 30.0
"""How long the broker may take to make or remove topics."""


@contextmanager
def ground(progress: Callable[[str], None]) -> Iterator[tuple[str, Path]]:
    """Bootstrap servers and a directory; a broker is made for this run unless ``TENANT_CONNECT_KAFKA`` names one."""
    with tempfile.TemporaryDirectory(prefix="tenant-connect-bench-", ignore_cleanup_errors=True) as name:
        directory = Path(name)
        given = os.environ.get(f"{PREFIX}KAFKA")
        if given:
            yield given, directory
            return
        server = KafkaServer(directory / "kafka")
        progress("starting a broker")
        server.start(progress)
        try:
            yield server.bootstrap, directory
        finally:
            server.stop()


def environment(kafka: str, topic_prefix: str, partitions: int, worker: str) -> Mapping[str, str]:
    """The variables of the worker that is measured; how to log in to Kafka is left as it is set."""
    return {
        f"{PREFIX}KAFKA": kafka,
        f"{PREFIX}TOPIC_PREFIX": topic_prefix,
        f"{PREFIX}PARTITIONS": str(partitions),
        f"{PREFIX}WORKER_NAME": worker,
        f"{PREFIX}HTTP_PORT": "-1",
    }


@contextmanager
def topics(settings: Settings) -> Iterator[AdminClient]:
    """All topics under the settings' prefix, both sides', for as long as they are needed."""
    client = admin(settings)
    apply(settings)
    own = [f"{settings.topic_prefix}.{name}" for name in (COMMANDS, EVENTS)]
    made = client.create_topics([NewTopic(name, settings.partitions, settings.replication_factor) for name in own])
    for answer in made.values():
        answer.result(ADMIN_TIMEOUT_S)
    try:
        yield client
    finally:
        _remove(client, settings.topic_prefix)


def _remove(client: AdminClient, prefix: str) -> None:
    found = [name for name in client.list_topics(timeout=ADMIN_TIMEOUT_S).topics if name.startswith(f"{prefix}.")]
    for answer in client.delete_topics(found).values():
        answer.result(ADMIN_TIMEOUT_S)
    groups = client.list_consumer_groups().result(ADMIN_TIMEOUT_S).valid
    own = [group.group_id for group in groups if group.group_id.startswith(f"{prefix}.")]
    for answer in client.delete_consumer_groups(own).values() if own else ():
        try:
            answer.result(ADMIN_TIMEOUT_S)
        except KafkaException:
            # A group whose member has only just left is not empty yet; the broker forgets it by itself.
            continue
