"""The demonstration, section by section."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from streams.catalog.store import Catalog
from streams.catalog.validation import validate
from streams.client.client import ConnectClient
from streams.demo.evidence import Session, sessions
from streams.demo.narrator import Narrator
from streams.demo.patience import until
from streams.demo.rows import listening, send
from streams.demo.spectator import Holding, Spectator
from streams.demo.surroundings import Surroundings
from streams.demo.workers import SESSION_TIMEOUT_MS, WorkerProcess
from streams.devstack.tenant_database import create_tenant_database
from streams.errors import LogCorrupt, WaitExpired
from streams.history import History
from streams.history.audit import verify
from streams.kafka import administration
from streams.kafka.partitioner import partition_of
from streams.terminal.report import report_for_people, report_records
from streams.terminal.tables import table
from streams.terminal.views import STATUS_COLUMNS, TIMELINE_COLUMNS, entry_record, status_row, timeline_row
from streams.wire.broadcast import Broadcast
from streams.wire.reply import TenantStatus, status_of

TENANTS: Final = ("acorn", "birch", "cedar")
"""They are in three different partitions."""

WORKERS: Final = ("worker-1", "worker-2")

READY_SECONDS: Final = 40.0
"""How long workers may take to share the partitions."""

CONNECT_MS: Final = 30_000
"""How long a tenant may take to be connected, in milliseconds."""

TAKEOVER_SECONDS: Final = 40.0
"""How long the surviving worker may take to hold what the dead one held."""

CLOSE_SECONDS: Final = 15.0
"""How long sessions may take to be gone, and events to be seen."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """How long the takeover took, in seconds since the kill.

    Attributes:
        claimed: until the survivor's claim was on the log.
        connected: until the survivor's sessions were in the database, and nobody else's.
    """

    claimed: float
    connected: float


class Story:
    """Everything between two servers that answer and two servers to be stopped.

    Args:
        place: the servers.
        narrator: tells it.
        client: asks the workers.
    """

    def __init__(self, place: Surroundings, narrator: Narrator, client: ConnectClient) -> None:
        self._place = place
        self._narrator = narrator
        self._client = client
        self._spectator = Spectator(client, narrator)
        self._workers: dict[str, WorkerProcess] = {}

    async def tell(self) -> None:
        """Tell it to the end.

        Raises:
            TenantConnectError: something is not as it should be.
        """
        try:
            await self._share_the_work()
            await self._connect()
            await self._broadcast()
            before_the_crash = datetime.now(UTC)
            takeover = await self._take_over(TENANTS[0])
            await self._shut_down(TENANTS[-1])
            await self._remember(TENANTS[-1], before_the_crash)
            await self._stop()
            self._sum_up(takeover)
        finally:
            for worker in self._workers.values():
                worker.end()
            await self._spectator.close()

    async def _share_the_work(self) -> None:
        self._narrator.section("Two workers share the work")
        self._narrator.say(
            "Two workers start. Kafka gives each of them some of the partitions, and each says so on the log: "
            "a claim. The claim's offset is its number; whoever has the highest one owns the partition."
        )
        for name in WORKERS:
            self._workers[name] = WorkerProcess(name, self._place.directory, self._place.environment)
        await until("the two workers share all partitions", self._shared, READY_SECONDS, self._where)
        rows = [(worker.name, worker.pid, _listed(worker.partitions)) for worker in self._workers.values()]
        records = [{"worker": name, "pid": pid, "partitions": owned} for name, pid, owned in rows]
        self._narrator.show("workers", table(("worker", "pid", "partitions"), rows), records)

    async def _connect(self) -> None:
        self._narrator.section("Three tenants are connected at once")
        self._narrator.say(
            "Nobody calls a worker: a command is a Kafka record. What becomes of it is events, shown here as they are "
            "written: the database is checked, migrated, and given its partitions."
        )
        found = await asyncio.gather(*(self._client.connect(tenant, timeout_ms=CONNECT_MS) for tenant in TENANTS))
        for tenant in TENANTS:
            await self._event(tenant, "connect.provisioned")
        self._show_statuses(found)
        held = await sessions(self._place.superuser, TENANTS)
        self._narrator.say("Each tenant has its sessions in PostgreSQL, and each session carries its owner's claim:")
        self._show_sessions(held)

    async def _broadcast(self) -> None:
        self._narrator.section("Rows become broadcasts")
        self._narrator.say(
            "An application sends a message by a function of its own database: a row of realtime.messages. The owner "
            "streams it out of the WAL to a topic that gateways read."
        )
        await asyncio.gather(
            *(self._client.connect(tenant, wait="streaming", timeout_ms=CONNECT_MS) for tenant in TENANTS)
        )
        for tenant in TENANTS:
            await send(self._place.superuser, tenant, f"hello from {tenant}")
        await self._hear(*(f"hello from {tenant}" for tenant in TENANTS))

    async def _hear(self, *messages: str) -> None:
        with listening(self._place.settings) as listener:

            async def heard() -> list[Broadcast] | None:
                return await listener.heard(*messages)

            found = await until("every row is broadcast", heard, TAKEOVER_SECONDS, self._where)
        shown = [(one.tenant, one.topic, one.event, messages[place], one.claim) for place, one in enumerate(found)]
        self._narrator.show("broadcasts", table(("tenant", "topic", "event", "message", "claim"), shown), found)

    async def _take_over(self, tenant: str) -> Takeover:
        self._narrator.section("A worker dies")
        partition = partition_of(tenant, self._place.settings.partitions)
        before = self._spectator.holdings[partition]
        old = [session.pid for session in await sessions(self._place.superuser, [tenant])]
        self._narrator.say(
            f"{before.worker} owns {tenant}. It is killed with SIGKILL: no goodbye, no handing over. Kafka will miss "
            f"its heartbeats after {SESSION_TIMEOUT_MS / 1000:.0f} s (10 s unless set; here it is set for the show)."
        )
        killed_at = time.monotonic()
        self._workers.pop(before.worker).kill()
        lost = f"{tenant} sends while nobody listens"
        await send(self._place.superuser, tenant, lost)

        async def reclaimed() -> Holding | None:
            holding = self._spectator.holdings[partition]
            return holding if holding.claim > before.claim else None

        async def reconnected() -> list[Session] | None:
            held = await sessions(self._place.superuser, [tenant])
            ours = {session.claim for session in held} == {after.claim}
            return held if ours and not {session.pid for session in held} & set(old) else None

        after = await until("another worker claims the partition", reclaimed, TAKEOVER_SECONDS, self._where)
        held = await until("the new owner alone is connected", reconnected, TAKEOVER_SECONDS, self._where)
        connected_at = time.monotonic()
        self._narrator.say(
            f"{after.worker} holds {tenant} now. Its claim {after.claim} is newer than {before.claim}, so anything "
            f"that {before.worker} might still have written under claim {before.claim} counts for nothing."
        )
        self._narrator.say(
            f"The proof is in pg_stat_activity: the backends {_listed(old)} of the dead worker are gone, "
            "and the sessions of exactly one claim remain:"
        )
        self._show_sessions(held)
        statuses = await asyncio.gather(*(self._client.status(name, timeout_ms=CONNECT_MS) for name in TENANTS))
        self._narrator.say("Nobody had to connect anything again: the state came from the log.")
        self._show_statuses(statuses)
        self._narrator.say("A row was written while nobody streamed. No slot was kept for it, and it is not lost:")
        await self._hear(lost)
        return Takeover(after.seen_at - killed_at, connected_at - killed_at)

    async def _shut_down(self, tenant: str) -> None:
        self._narrator.section("A tenant is shut down")
        await self._client.shutdown(tenant, timeout_ms=CONNECT_MS)
        await self._event(tenant, "connect.stopped")

        async def nobody() -> bool | None:
            return True if not await sessions(self._place.superuser, [tenant]) else None

        await until(f"no session is left in {tenant}'s database", nobody, CLOSE_SECONDS, self._where)
        self._narrator.say(f"{tenant} is absent, and its database has no backend of ours left.")

    async def _remember(self, tenant: str, moment: datetime) -> None:
        self._narrator.section("What the log remembers")
        settings = self._place.settings
        entries = await asyncio.to_thread(History(settings).timeline, tenant)
        self._narrator.say(f"Everything that ever happened to {tenant}; the claim shows which owner wrote it:")
        seen = [row[:-2] for row in map(timeline_row, entries)]
        self._narrator.show("timeline", table(TIMELINE_COLUMNS[:-2], seen), map(entry_record, entries))
        states = await asyncio.to_thread(History(settings).replay, None, moment)
        self._narrator.say("The state before the crash, folded anew from the log; nothing is asked but the log:")
        self._show_statuses([status_of(states[name], None) for name in sorted(states)])
        report = await asyncio.to_thread(verify, settings)
        self._narrator.say("The audit checks every record: hashes, chains, sequences, claims, legality.")
        self._narrator.show("audit", report_for_people(report), report_records(report))
        if not report.clean:
            raise LogCorrupt(f"the audit has {len(report.findings)} findings; they are listed above")

    async def _stop(self) -> None:
        self._narrator.section("Everything is stopped")
        for worker in self._workers.values():
            code = await asyncio.to_thread(worker.stop)
            self._narrator.say(f"{worker.name} was asked to stop (SIGTERM) and ended with exit code {code}.")
            if code != 0:
                raise WaitExpired(f"{worker.name} did not stop cleanly; see {worker.log_path}")
        left = await sessions(self._place.superuser, TENANTS)
        self._narrator.say(f"Sessions left in the tenants' databases: {len(left)}.")

    def _sum_up(self, takeover: Takeover) -> None:
        self._narrator.section("In short")
        facts = {
            "tenants connected": len(TENANTS),
            "worker killed": f"{WORKERS[0] if WORKERS[0] not in self._workers else WORKERS[1]}, with SIGKILL",
            "the group waits for a heartbeat": f"{SESSION_TIMEOUT_MS / 1000:.0f} s",
            "takeover: claim on the log": f"{takeover.claimed:.1f} s after the kill",
            "takeover: database connected": f"{takeover.connected:.1f} s after the kill",
            "rows lost": "none",
            "owners of a tenant at any time": "at most one, by PostgreSQL's own account",
            "audit of the log": "sound",
        }
        rows = [(name, Text(str(value), style="green")) for name, value in facts.items()]
        self._narrator.show("summary", table(("what", "seen"), rows), [facts])

    async def _event(self, tenant: str, type_: str) -> None:
        async def seen() -> bool | None:
            return True if self._spectator.saw(tenant, type_) else None

        await until(f"{type_} of {tenant} is seen on the log", seen, CLOSE_SECONDS, self._where)

    async def _shared(self) -> bool | None:
        owned = [set(worker.partitions) for worker in self._workers.values()]
        complete = set.union(*owned) == set(range(self._place.settings.partitions))
        return True if complete and all(owned) and not set.intersection(*owned) else None

    def _show_statuses(self, statuses: Sequence[TenantStatus]) -> None:
        owned = any(status.owner for status in statuses)
        columns = len(STATUS_COLUMNS) if owned else len(STATUS_COLUMNS) - 2
        rows = [status_row(status)[:columns] for status in statuses]
        self._narrator.show("statuses", table(STATUS_COLUMNS[:columns], rows), statuses)

    def _show_sessions(self, held: Sequence[Session]) -> None:
        rows = [(session.database, session.pid, session.name) for session in held]
        self._narrator.show("sessions", table(("database", "backend pid", "application name"), rows), held)

    def _where(self) -> str:
        logs = ", ".join(str(worker.log_path) for worker in self._workers.values())
        return f"Read on in {logs or self._place.directory}"


def prepare(place: Surroundings, narrator: Narrator) -> None:
    """Make the topics, the tenants' databases, and their entries in the catalog."""
    narrator.section("Topics, databases, and a catalog of tenants")
    changes = administration.apply(place.settings)
    narrator.say(
        f"Made {len(changes)} topics under {place.settings.topic_prefix}, of {place.settings.partitions} partitions."
    )
    databases = asyncio.run(_databases(place))
    region = place.settings.region
    entries = [validate({"tenant": name, "region": region, "database": part}) for name, part in databases.items()]
    Catalog(place.settings).put_all(entries)
    narrator.say(
        f"Made a database for each of {', '.join(TENANTS)}, and wrote them into the catalog: a compacted topic, with "
        "the credentials encrypted (AES-256-GCM)."
    )


async def _databases(place: Surroundings) -> dict[str, dict[str, object]]:
    return {name: await create_tenant_database(place.superuser, name) for name in TENANTS}


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
