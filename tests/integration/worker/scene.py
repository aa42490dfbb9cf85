"""What tests of workers look at and take hold of: the log, the replies, the group, the tenant's sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from confluent_kafka import TopicPartition

from statemachine.events import Event
from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.history import History, HistoryEntry
from streams.history.audit import AuditReport, verify
from streams.kafka.clients import consumer_configuration, producer
from streams.log.reader import Record, open_consumer, read, stretches
from streams.service.worker import Worker
from streams.settings import Settings
from streams.tenantdb.naming import claim_of
from streams.topics import Topics
from streams.wire.reply import Reply, decode_reply
from tests.support import region
from tests.support.waiting import DEADLINE_S

OURS: Final = "datname = $1 and application_name like 'realtime_connect:%'"


class TenantDatabase:
    """A tenant's database, seen by its server's administrator."""

    def __init__(self, administrator: Any, name: str, entry: dict[str, Any]) -> None:
        self._administrator = administrator
        self._name = name
        self._entry = entry
        self._others: list[TenantDatabase] = []

    async def sessions(self) -> set[int]:
        """Server process ids of the workers' sessions."""
        rows = await self._administrator.fetch(f"select pid from pg_stat_activity where {OURS}", self._name)  # noqa: S608  a constant
        return {row["pid"] for row in rows}

    async def claims(self) -> set[int]:
        """The claims under which workers hold sessions."""
        question = f"select application_name from pg_stat_activity where {OURS}"  # noqa: S608  a constant
        rows = await self._administrator.fetch(question, self._name)
        return {claim for row in rows if (claim := claim_of(row["application_name"])) is not None}

    async def another(self, settings: Settings, tenant: str) -> TenantDatabase:
        """A database of another tenant's on the same server; it is there as long as this one."""
        other = TenantDatabase(self._administrator, f"{self._name}_{tenant}", self._entry)
        await other.create(settings, tenant)
        self._others.append(other)
        return other

    async def create(self, settings: Settings, tenant: str) -> None:
        """Make it, and put its tenant in the catalog."""
        await self._administrator.execute(f"create database {self._name}")
        entry = self._entry | {"tenant": tenant, "database": self._entry["database"] | {"name": self._name}}
        Catalog(settings).put(validate(entry))

    async def drop(self) -> None:
        """Drop it, with all sessions that there are, and the others that were made with it."""
        for database in (*self._others, self):
            await self._administrator.execute(f"drop database {database._name} with (force)")

    async def end_sessions(self) -> None:
        """The server loses the workers' sessions."""
        question = f"select pg_terminate_backend(pid) from pg_stat_activity where {OURS}"  # noqa: S608  a constant
        await self._administrator.fetch(question, self._name)


class Scene:
    """One region's topics."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.topics = Topics(settings)

    @asynccontextmanager
    async def working(self, **changed: Any) -> AsyncIterator[Worker]:
        """A worker in the test's own loop that owns every partition."""
        async with region.working(self.settings.model_copy(update=changed)) as worker:
            yield worker

    def entries(self) -> list[HistoryEntry]:
        """The whole log."""
        return list(History(self.settings).entries())

    def events(self, tenant: str) -> list[str]:
        """Types of the tenant's events that count."""
        return [event.data.type for event in self.timeline(tenant)]

    def timeline(self, tenant: str) -> list[Event]:
        """The tenant's events that count."""
        return [entry.event for entry in History(self.settings).timeline(tenant) if isinstance(entry.event, Event)]

    def audit(self) -> AuditReport:
        """The judgement of an independent reader, without any finding."""
        report = verify(self.settings)
        assert report.findings == ()
        return report

    def replies(self) -> dict[str, list[Reply]]:
        """Every reply so far, in order, by command id."""
        found: defaultdict[str, list[Reply]] = defaultdict(list)
        for record in self.records(self.topics.replies):
            assert record.value is not None
            reply = decode_reply(record.value)
            if reply.command is not None:
                found[reply.command].append(reply)
        return found

    def records(self, topic: str) -> list[Record]:
        """Everything on a topic."""
        with open_consumer(consumer_configuration(self.settings, "scene")) as consumer:
            return list(read(consumer, topic, stretches(consumer, topic)))

    def produce(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None]], partition: int = -1) -> None:
        """Somebody else's producer writes."""
        client = producer(self.settings)
        for key, value in records:
            client.produce(topic, key=key, value=value, partition=partition)
        assert client.flush(DEADLINE_S) == 0

    def rewind(self, topic: str) -> None:
        """Make the group read ``topic`` from its beginning again; it must have no members."""
        places = [TopicPartition(topic, number, 0) for number in range(self.settings.partitions)]
        group = f"{self.settings.topic_prefix}.{self.settings.region}"
        with open_consumer(consumer_configuration(self.settings, group)) as member:
            member.commit(offsets=places, asynchronous=False)
