"""What happened: the events of a tenant and the claims of a partition.

One event is one Kafka record. The payloads here are the ``data`` of the CloudEvents record; the rest of
the record is `Event`. Payloads are frozen: what happened does not change.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Final, NamedTuple, get_args

from pydantic import AfterValidator, Field

from statemachine.state import ReplicationMode, StopReason

Count = Annotated[int, Field(ge=0)]


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment


Moment = Annotated[datetime, AfterValidator(_aware), Field(description="RFC 3339, in UTC")]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A worker took the partition. The record's offset is the claim's number, the fencing token."""

    type: ClassVar[str] = "connect.claimed"
    worker: Annotated[str, Field(description="name of the worker, unique among the living")]
    generation: Annotated[Count, Field(description="generation of the consumer group when it was assigned")]
    term: Annotated[Count, Field(description="raised where a group was made anew and generations restarted")] = 0


@dataclass(frozen=True, slots=True)
class ConnectRequested:
    """Somebody wants the tenant connected: absent → checking."""

    type: ClassVar[str] = "connect.requested"
    platform_region: str | None = None
    serving_region: str | None = None
    requested_by: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectChecked:
    """The database answers and has room: checking → provisioning."""

    type: ClassVar[str] = "connect.checked"
    available: Annotated[int, Field(description="connections free on the server")]
    required: Annotated[int, Field(description="connections that must be free")]
    migrations_on_database: Annotated[Count, Field(description="migrations recorded in the database")]
    took_ms: Annotated[Count, Field(description="duration of the check in milliseconds")]
    replication: Annotated[ReplicationMode, Field(description="how rows are to be streamed")] = ReplicationMode.OFF
    settings: Annotated[
        str | None, Field(description="fingerprint of what the tenant is connected with, without its password")
    ] = None


@dataclass(frozen=True, slots=True)
class ConnectProvisioned:
    """The database is migrated and has its partitions, the connection is held: provisioning → ready."""

    type: ClassVar[str] = "connect.provisioned"
    migrations_run: Annotated[Count, Field(description="migrations that were run since the check")]
    partitions: Annotated[tuple[str, ...], Field(description="days whose partitions exist, ISO 8601")]
    took_ms: Annotated[Count, Field(description="duration of migrations and partitions in milliseconds")]


@dataclass(frozen=True, slots=True)
class ConnectStopping:
    """The connection is being given up: live → stopping. `connect.stopped` follows when it is closed."""

    type: ClassVar[str] = "connect.stopping"
    reason: StopReason
    code: str | None = None
    message: str = ""
    reconnect: Annotated[bool, Field(description="connect again once stopped")] = False


@dataclass(frozen=True, slots=True)
class ConnectStopped:
    """The tenant has no connection any more: any → absent."""

    type: ClassVar[str] = "connect.stopped"
    reason: StopReason
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConnectPaused:
    """An operator holds the tenant; a live connection is given up."""

    type: ClassVar[str] = "connect.paused"
    reason: str = ""
    author: str = ""
    until: Moment | None = None


@dataclass(frozen=True, slots=True)
class ConnectResumed:
    """The operator's hold is lifted."""

    type: ClassVar[str] = "connect.resumed"
    reason: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseLost:
    """A connection to the tenant's database broke, and the recovery window opens: up → recovering.

    While it recovers, another one says that something else stands in the way now; the window stays as it was.
    """

    type: ClassVar[str] = "database.lost"
    recovery_until: Moment
    code: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseRestored:
    """All connections to the tenant's database are back; the recovery window closes."""

    type: ClassVar[str] = "database.restored"


@dataclass(frozen=True, slots=True)
class ConnectRetried:
    """An operator ended a waiting period of a connected tenant: what waits is tried at once."""

    type: ClassVar[str] = "connect.retried"
    reason: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class ReplicationStarted:
    """Rows of the tenant are streamed, from the resume point on where there was one."""

    type: ClassVar[str] = "replication.started"
    slot: Annotated[str, Field(description="name of the temporary slot")]
    mode: ReplicationMode
    resumed_from: Annotated[str | None, Field(description="LSN of the resume point")]
    system_identifier: str
    timeline: Count
    backfilled: Annotated[Count, Field(description="rows that were read from the table before the stream")]
    delivers_from_lsn: Annotated[str, Field(description="every row committed after this LSN is streamed")]


@dataclass(frozen=True, slots=True)
class ReplicationLost:
    """The stream of the tenant's rows broke: streaming → waiting."""

    type: ClassVar[str] = "replication.lost"
    code: str
    message: str
    next_attempt_at: Moment
    recovery_until: Moment
    resume_point: Annotated[str | None, Field(description="LSN up to which rows are known to be delivered")] = None


@dataclass(frozen=True, slots=True)
class ReplicationPostponed:
    """The stream could not be started; it is tried again: starting or waiting → waiting."""

    type: ClassVar[str] = "replication.postponed"
    code: str
    message: str
    next_attempt_at: Moment
    recovery_until: Moment
    resume_point: Annotated[str | None, Field(description="LSN up to which rows are known to be delivered")] = None
    blocked_by: Annotated[str | None, Field(description="the session that stands in the way")] = None


@dataclass(frozen=True, slots=True)
class ReplicationGap:
    """Rows may be missing from the broadcasts: a loss that cannot be excluded, with its bounds and its cause."""

    type: ClassVar[str] = "replication.gap"
    from_lsn: str | None
    to_lsn: str | None
    cause: str
    recovered_by: Annotated[str | None, Field(description="what was done about it")] = None


@dataclass(frozen=True, slots=True)
class OccupancyUsed:
    """Somebody uses the tenant."""

    type: ClassVar[str] = "occupancy.used"
    users: Count


@dataclass(frozen=True, slots=True)
class OccupancyIdle:
    """Nobody used the tenant for the whole window: it is stopped at ``shutdown_at`` unless somebody comes."""

    type: ClassVar[str] = "occupancy.idle"
    shutdown_at: Moment


@dataclass(frozen=True, slots=True)
class PartitionsFailed:
    """A day's partition could not be made; it is tried again."""

    type: ClassVar[str] = "partitions.failed"
    day: Annotated[str, Field(description="UTC day, ISO 8601")]
    message: str


@dataclass(frozen=True, slots=True)
class PartitionsRestored:
    """A day's partition that could not be made is there now."""

    type: ClassVar[str] = "partitions.restored"
    day: Annotated[str, Field(description="UTC day, ISO 8601")]


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Connecting failed too often: it is not tried before ``retry_at``."""

    type: ClassVar[str] = "limit.reached"
    retry_at: Moment


@dataclass(frozen=True, slots=True)
class LimitCleared:
    """Connecting may be tried again."""

    type: ClassVar[str] = "limit.cleared"
    reason: str = ""
    author: str = ""


@dataclass(frozen=True, slots=True)
class MigrationsFinished:
    """The database of a tenant that is not connected was migrated."""

    type: ClassVar[str] = "migrations.finished"
    migrations_run: Annotated[Count, Field(description="migrations that were run now")]
    migrations_on_database: Annotated[Count, Field(description="migrations recorded in the database")]
    took_ms: Annotated[Count, Field(description="duration in milliseconds")]


TenantEventData = (
    ConnectRequested
    | ConnectChecked
    | ConnectProvisioned
    | ConnectStopping
    | ConnectStopped
    | ConnectPaused
    | ConnectResumed
    | DatabaseLost
    | DatabaseRestored
    | ConnectRetried
    | ReplicationStarted
    | ReplicationLost
    | ReplicationPostponed
    | ReplicationGap
    | OccupancyUsed
    | OccupancyIdle
    | PartitionsFailed
    | PartitionsRestored
    | LimitReached
    | LimitCleared
    | MigrationsFinished
)
EventData = Claimed | TenantEventData

EVENT_TYPES: Final[dict[str, type[EventData]]] = {data.type: data for data in get_args(EventData)}
"""Every event type of the contract and its payload."""


class CommandPlace(NamedTuple):
    """Where a command stands on the topic that clients write to.

    Attributes:
        partition: its partition.
        offset: its offset.
    """

    partition: int
    offset: int


class Event(NamedTuple):
    """One event of one tenant, as it stands on the log.

    Attributes:
        tenant: whose event.
        data: what happened.
        sequence: per tenant, from 1, without a gap.
        time: when it was decided.
        claim: offset of the claim it was written under.
        causation: id of the command, or ``timer:…`` or ``effect:…``.
        command_offset: offset of the command in the region's command topic, where a command caused it.
        origin: where that command stands on the topic it was forwarded from, where it was forwarded.
        previous_hash: hash of the tenant's event before, empty for the first.
        hash: hash of this event's bytes and so of the whole chain before it.
    """

    tenant: str
    data: TenantEventData
    sequence: int
    time: datetime
    claim: int
    causation: str
    command_offset: int | None
    origin: CommandPlace | None
    previous_hash: str
    hash: str
