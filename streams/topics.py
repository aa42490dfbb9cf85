"""Every topic: its name, its number of partitions and its policy. There is no other list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from streams.settings import Settings

FOR_EVER = "-1"
"""Kafka's word for no limit, in milliseconds or bytes."""

COMMAND_BYTES_MAX = 2 * 1024 * 1024
"""Bytes of a record where clients write what they like: a value that is refused for its size still has to be parked."""

BROADCAST_BYTES_MAX = 8 * 1024 * 1024
"""Bytes of a broadcast: the payload of 3000 KB that a tenant may have by default is a third larger in base64."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a topic has to look like.

    Attributes:
        config: topic settings of Kafka, by Kafka's names and in Kafka's text.
    """

    name: str
    partitions: int
    replication_factor: int
    config: Mapping[str, str]


class Topics:
    """The names of the topics under the settings' prefix and region.

    Args:
        settings: prefix and region are read.
        region: another serving region than the settings', where its topics are meant.
    """

    def __init__(self, settings: Settings, region: str | None = None) -> None:
        self._prefix = settings.topic_prefix
        self._region = f"{settings.topic_prefix}.{region or settings.region}"

    @property
    def commands(self) -> str:
        """Key tenant id, value command; clients write here, the router reads."""
        return f"{self._prefix}.commands"

    @property
    def region_commands(self) -> str:
        """Key tenant id, value command; the router writes, the region's workers read."""
        return f"{self._region}.commands"

    @property
    def events(self) -> str:
        """Key tenant id, or none for a claim; value event. The truth, kept for ever."""
        return f"{self._region}.events"

    @property
    def replies(self) -> str:
        """Key command id, value reply."""
        return f"{self._prefix}.replies"

    @property
    def tenants(self) -> str:
        """Key tenant id, value catalog entry with its credentials encrypted."""
        return f"{self._prefix}.tenants"

    @property
    def users(self) -> str:
        """Key tenant id, value the user count of one gateway."""
        return f"{self._prefix}.users"

    @property
    def broadcasts(self) -> str:
        """Key tenant id, value a row to broadcast."""
        return f"{self._region}.broadcasts"

    @property
    def positions(self) -> str:
        """Key tenant id, value the point to resume replication from."""
        return f"{self._region}.positions"

    @property
    def dead_letters(self) -> str:
        """Key and value as they were, of a record that could not be read."""
        return f"{self._prefix}.dead-letters"


def declarations(settings: Settings) -> tuple[Declaration, ...]:
    """Every topic that a worker of the settings' region needs, in the order in which they are made.

    All have the same number of partitions: a tenant's commands, users, catalog entry and events meet in one partition
    number, and replies and dead letters spread as wide as the commands that cause them.
    """
    topics = Topics(settings)
    policies = {
        topics.commands: {**_deleted_after(timedelta(days=7)), **_records_of(COMMAND_BYTES_MAX)},
        topics.region_commands: {**_deleted_after(timedelta(days=7)), **_records_of(COMMAND_BYTES_MAX)},
        topics.events: {"cleanup.policy": "delete", "retention.ms": FOR_EVER, "retention.bytes": FOR_EVER},
        topics.replies: _deleted_after(timedelta(hours=1)),
        topics.tenants: _compacted(),
        topics.users: _deleted_after(timedelta(hours=1)),
        topics.broadcasts: {**_deleted_after(timedelta(days=1)), **_records_of(BROADCAST_BYTES_MAX)},
        topics.positions: _compacted(),
        topics.dead_letters: {**_deleted_after(timedelta(days=30)), **_records_of(COMMAND_BYTES_MAX)},
    }
    return tuple(_declaration(name, policy, settings) for name, policy in policies.items())


def _declaration(name: str, policy: Mapping[str, str], settings: Settings) -> Declaration:
    in_sync = max(1, settings.replication_factor - 1)
    return Declaration(
        name=name,
        partitions=settings.partitions,
        replication_factor=settings.replication_factor,
        config=MappingProxyType(
            {**policy, "message.timestamp.type": "CreateTime", "min.insync.replicas": str(in_sync)}
        ),
    )


def _deleted_after(age: timedelta) -> dict[str, str]:
    milliseconds = age // timedelta(milliseconds=1)
    return {"cleanup.policy": "delete", "retention.ms": str(milliseconds), "retention.bytes": FOR_EVER}


def _compacted() -> dict[str, str]:
    return {"cleanup.policy": "compact"}


def _records_of(size: int) -> dict[str, str]:
    return {"max.message.bytes": str(size)}
