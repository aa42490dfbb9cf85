"""What is asked: the commands that people send, and the reports of the owner's own work and timers.

Both are decided in the same way. Commands come from Kafka and are answered; reports come from the effects
and timers of the partition's owner and are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, AwareDatetime, ConfigDict, Field

from statemachine.limits import CONNECT_TIMEOUT_MS, CONNECT_TIMEOUT_MS_MAX, TEXT_LENGTH_MAX
from statemachine.state import ReplicationMode, StopReason


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is out of range") from None


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Text = Annotated[str, Field(max_length=TEXT_LENGTH_MAX)]


class Wait(StrEnum):
    """What a connect waits for."""

    READY = "ready"
    STREAMING = "streaming"
    NO = "no"


class Payload:
    """The ``data`` of a command: fields are checked strictly, unknown ones are refused."""

    __slots__ = ()
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class Connect(Payload):
    """Connect the tenant, and answer once it is so."""

    type: ClassVar[str] = "connect"
    wait: Wait = Wait.READY
    timeout_ms: Annotated[int, Field(ge=0, le=CONNECT_TIMEOUT_MS_MAX)] = CONNECT_TIMEOUT_MS
    requested_by: Text | None = None


@dataclass(frozen=True, slots=True)
class Status(Payload):
    """Say how the tenant is; starts nothing."""

    type: ClassVar[str] = "status"


@dataclass(frozen=True, slots=True)
class Shutdown(Payload):
    """Give the connection up; fine where there is none."""

    type: ClassVar[str] = "shutdown"
    reason: StopReason = StopReason.REQUESTED


@dataclass(frozen=True, slots=True)
class Reload(Payload):
    """Give the connection up and connect again."""

    type: ClassVar[str] = "reload"


@dataclass(frozen=True, slots=True)
class CheckHealth(Payload):
    """Say whether the tenant is healthy; starts nothing."""

    type: ClassVar[str] = "check_health"


@dataclass(frozen=True, slots=True)
class PauseTenant(Payload):
    """Hold the tenant: stop it and refuse connects until resumed, or until a time."""

    type: ClassVar[str] = "pause"
    reason: Text = ""
    author: Text = ""
    until: Moment | None = None


@dataclass(frozen=True, slots=True)
class ResumeTenant(Payload):
    """Lift the hold."""

    type: ClassVar[str] = "resume"
    reason: Text = ""
    author: Text = ""


@dataclass(frozen=True, slots=True)
class Retry(Payload):
    """End a waiting period now."""

    type: ClassVar[str] = "retry"
    reason: Text = ""
    author: Text = ""


Command = Connect | Status | Shutdown | Reload | CheckHealth | PauseTenant | ResumeTenant | Retry

COMMAND_TYPES: Final[dict[str, type[Command]]] = {
    command.type: command
    for command in (Connect, Status, Shutdown, Reload, CheckHealth, PauseTenant, ResumeTenant, Retry)
}
"""Every command type of the contract and its payload."""


@dataclass(frozen=True, slots=True)
class CheckPassed:
    """The connection check passed. Durations in milliseconds; see `statemachine.events.ConnectChecked`."""

    available: int
    required: int
    migrations_on_database: int
    took_ms: int
    replication: ReplicationMode = ReplicationMode.OFF
    settings: str | None = None


@dataclass(frozen=True, slots=True)
class ProvisionDone:
    """Migrations and partitions are in place and the connection is held."""

    migrations_run: int
    partitions: tuple[str, ...]
    took_ms: int


@dataclass(frozen=True, slots=True)
class EffectFailed:
    """The work for the tenant cannot succeed: its check or provisioning failed, or it is not to be connected."""

    reason: StopReason
    code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ConnectionClosed:
    """Every session of a stopping tenant is closed.

    Attributes:
        doubt: why an owner before may still hold one, None where that is excluded.
    """

    doubt: str | None = None


@dataclass(frozen=True, slots=True)
class ConnectionLost:
    """A session of a ready tenant broke, or could not be opened again after a takeover."""

    code: str | None
    message: str


@dataclass(frozen=True, slots=True)
class ConnectionRestored:
    """Every session of the tenant is back."""


@dataclass(frozen=True, slots=True)
class ReconnectWanted:
    """A stopped tenant is to be connected again."""


@dataclass(frozen=True, slots=True)
class FailuresWeighed:
    """A connect failed: it is to be weighed whether that was too often."""


@dataclass(frozen=True, slots=True)
class SettingsChanged:
    """The catalog entry differs from what the tenant is connected with."""


@dataclass(frozen=True, slots=True)
class MigrationsDone:
    """The database of a tenant that is not connected was migrated. Duration in milliseconds."""

    migrations_run: int
    migrations_on_database: int
    took_ms: int


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """Rows are streamed; see `statemachine.events.ReplicationStarted` for the fields."""

    slot: str
    mode: ReplicationMode
    resumed_from: str | None
    system_identifier: str
    timeline: int
    backfilled: int
    delivers_from_lsn: str


@dataclass(frozen=True, slots=True)
class StreamFailed:
    """Rows are not streamed: the stream broke, or could not be started.

    Attributes:
        code: the operational code.
        message: what was tried and what came of it, without secrets.
        resume_point: LSN up to which rows are known to be delivered, where it is known.
        blocked_by: the session that stands in the way, where there is one.
        chance: a random number from 0 to 1 that spreads the next attempt.
    """

    code: str
    message: str
    resume_point: str | None = None
    blocked_by: str | None = None
    chance: float = 0.5


@dataclass(frozen=True, slots=True)
class GapFound:
    """Rows may be missing from the broadcasts; see `statemachine.events.ReplicationGap` for the fields."""

    from_lsn: str | None
    to_lsn: str | None
    cause: str
    recovered_by: str | None


@dataclass(frozen=True, slots=True)
class UsersCounted:
    """The reports of gateways were summed.

    Attributes:
        users: users of the tenant now.
        empty_since: since when there are none; None while there are, and where no gateway ever reported.
    """

    users: int
    empty_since: datetime | None


@dataclass(frozen=True, slots=True)
class PartitionFailed:
    """The partition of a UTC day, ISO 8601, could not be made."""

    day: str
    message: str


@dataclass(frozen=True, slots=True)
class PartitionMade:
    """The partition of a UTC day, ISO 8601, is there."""

    day: str


class Deadline(StrEnum):
    """The deadlines that a state can hold."""

    PAUSE = "pause"
    DATABASE_RECOVERY = "database_recovery"
    REPLICATION_ATTEMPT = "replication_attempt"
    REPLICATION_RECOVERY = "replication_recovery"
    IDLE_SHUTDOWN = "idle_shutdown"
    CONNECT_LIMIT = "connect_limit"


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """A deadline of the state has passed."""

    deadline: Deadline


Report = (
    CheckPassed
    | ProvisionDone
    | EffectFailed
    | ConnectionClosed
    | ConnectionLost
    | ConnectionRestored
    | ReconnectWanted
    | FailuresWeighed
    | SettingsChanged
    | MigrationsDone
    | StreamStarted
    | StreamFailed
    | GapFound
    | UsersCounted
    | PartitionFailed
    | PartitionMade
    | DeadlineReached
)
