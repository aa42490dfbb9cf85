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
from statemachine.state import StopReason


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
    """The connection check passed. Durations in milliseconds."""

    available: int
    required: int
    migrations_on_database: int
    took_ms: int


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
    """Every session of a stopping tenant is closed."""


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


class Deadline(StrEnum):
    """The deadlines that a state can hold."""

    PAUSE = "pause"
    DATABASE_RECOVERY = "database_recovery"


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
    | DeadlineReached
)
