"""The state of one tenant, folded from its events and from nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from statemachine.machines import DatabaseHealth, Lifecycle, Occupancy, Replication


class StopReason(StrEnum):
    """Why a tenant has no connection."""

    REQUESTED = "requested"
    IDLE = "idle"
    REBALANCING = "rebalancing"
    SUSPENDED = "suspended"
    TENANT_NOT_FOUND = "tenant_not_found"
    PAUSED = "paused"
    TOO_MANY_CONNECTIONS = "tenant_db_too_many_connections"
    DATABASE_UNAVAILABLE = "database_unavailable"
    POOLED_ENDPOINT = "pooled_endpoint"
    MIGRATIONS_FAILED = "migrations_failed"
    DATABASE_RECOVERY_WINDOW_EXCEEDED = "database_recovery_window_exceeded"
    REPLICATION_RECOVERY_WINDOW_EXCEEDED = "replication_recovery_window_exceeded"
    DATABASE_CLOSED = "database_closed"
    REMOVED = "removed"


class ReplicationMode(StrEnum):
    """What becomes of rows that are written while nobody streams them."""

    DURABLE = "durable"
    TEMPORARY = "temporary"
    OFF = "off"


class Pause(NamedTuple):
    """An operator's hold on a tenant.

    Attributes:
        reason: why, in the operator's words.
        author: who.
        until: when it lifts itself, or None for never.
    """

    reason: str
    author: str
    until: datetime | None


class Stop(NamedTuple):
    """Why a tenant is stopping or has stopped.

    Attributes:
        reason: the explicit stop reason.
        code: the operational code that logs carry too, where there is one.
        message: what was tried and what came of it, without secrets.
    """

    reason: StopReason
    code: str | None
    message: str


class Failure(NamedTuple):
    """What stands in the way of something that is tried again.

    Attributes:
        code: the operational code, as logs carry it; None where there is none.
        message: what was tried and what came of it, without secrets.
        blocked_by: the session that stands in the way, where there is one.
    """

    code: str | None
    message: str
    blocked_by: str | None = None

    @property
    def said(self) -> str:
        """Code and words, without a full stop; who stands in the way is said where the words do not."""
        said = ": ".join(part for part in (self.code, self.message.rstrip(".")) if part) or "no reason is known"
        return f"{said}; blocked by {self.blocked_by}" if self.blocked_by and self.blocked_by not in said else said


class EventName(NamedTuple):
    """What names one event of a tenant.

    Attributes:
        sequence: its sequence.
        claim: the claim it was written under.
    """

    sequence: int
    claim: int


class StreamStart(NamedTuple):
    """When and under which claim rows of a tenant began to be streamed.

    Attributes:
        at: when.
        claim: the claim; a resume point of an older one vouches for nothing.
    """

    at: datetime
    claim: int


class TenantState(NamedTuple):
    """Everything that counts about one tenant's connection.

    Attributes:
        tenant: the tenant's id.
        lifecycle: how far the connection is.
        database: whether the database answers.
        replication: whether rows are streamed.
        occupancy: whether anybody uses the tenant.
        sequence: number of events so far; the last event's sequence.
        hash: hash of the last event, the link of the chain.
        since: time of the last event that moved the lifecycle.
        since_event: that event, None before the first.
        stop: why the tenant is stopping or absent; None before the first stop and while it is live.
        reconnect: whether a connection is wanted again once the tenant has stopped.
        pause: the operator's hold, if any.
        platform_region: the region the catalog names.
        serving_region: the region whose workers serve the tenant.
        migrations: count of migrations recorded in the tenant's database, as last seen.
        recovery_until: end of the database's recovery window, while it is open.
        command_ids: the last commands that led to an event, oldest first.
        commanded_at: when the last of them did.
        pause_event: the event that paused the tenant last.
        recovery_event: the event that told last that the database is away.
        mode: how rows are to be streamed, as the catalog said at the last check.
        next_attempt_at: when streaming is tried again, while it waits.
        replication_until: end of replication's recovery window, while it is open.
        replication_delay: how long the last attempt was put off, None since streaming runs.
        replication_event: the event that told last that rows are not streamed.
        stream: the start of the last stream, None before the first and for a tenant that was removed.
        users: users of the tenant when its occupancy changed last.
        occupancy_since: when that was, None while it is unknown.
        shutdown_at: when an idle tenant is stopped.
        occupancy_event: the event that changed the occupancy last.
        failures: times of the last connect failures since the last success, oldest first.
        retry_at: until when no connect is tried, where it failed too often.
        limit_event: the event that said so last.
        retried_at: when an operator last asked to try at once.
        partitions_failed: days without a partition of their own, ISO 8601, ascending.
        gap_event: the last event that told of rows that may be missing.
        partitions_event: the event that told last that a day has no partition.
        settings: fingerprint of what the last check found good to connect with; None where the log does not say.
        database_failure: why the database is away, as far as the log says; None while it is not.
        replication_failure: why rows are not streamed, None while nothing failed.
        promised_since: since when rows are promised of which none was streamed yet; kept over stops.
    """

    tenant: str
    lifecycle: Lifecycle = Lifecycle.ABSENT
    database: DatabaseHealth = DatabaseHealth.DOWN
    replication: Replication = Replication.OFF
    occupancy: Occupancy = Occupancy.UNKNOWN
    sequence: int = 0
    hash: str = ""
    since: datetime | None = None
    since_event: EventName | None = None
    stop: Stop | None = None
    reconnect: bool = False
    pause: Pause | None = None
    platform_region: str | None = None
    serving_region: str | None = None
    migrations: int | None = None
    recovery_until: datetime | None = None
    command_ids: tuple[str, ...] = ()
    commanded_at: datetime | None = None
    pause_event: EventName | None = None
    recovery_event: EventName | None = None
    mode: ReplicationMode = ReplicationMode.OFF
    next_attempt_at: datetime | None = None
    replication_until: datetime | None = None
    replication_delay: timedelta | None = None
    replication_event: EventName | None = None
    stream: StreamStart | None = None
    users: int = 0
    occupancy_since: datetime | None = None
    shutdown_at: datetime | None = None
    occupancy_event: EventName | None = None
    failures: tuple[datetime, ...] = ()
    retry_at: datetime | None = None
    limit_event: EventName | None = None
    retried_at: datetime | None = None
    partitions_failed: tuple[str, ...] = ()
    gap_event: EventName | None = None
    partitions_event: EventName | None = None
    settings: str | None = None
    database_failure: Failure | None = None
    replication_failure: Failure | None = None
    promised_since: datetime | None = None

    @property
    def is_promised(self) -> bool:
        """Whether rows that come while nobody streams are to be delivered: some were streamed, or are promised."""
        return self.stream is not None or self.promised_since is not None
