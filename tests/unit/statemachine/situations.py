"""The situations that a tenant can be in, each by the shortest history that leads there."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from statemachine.commands import (
    CheckHealth,
    CheckPassed,
    Command,
    Connect,
    ConnectionClosed,
    ConnectionLost,
    ConnectionRestored,
    Deadline,
    DeadlineReached,
    EffectFailed,
    FailuresWeighed,
    GapFound,
    MigrationsDone,
    PartitionFailed,
    PartitionMade,
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    Reload,
    Report,
    ResumeTenant,
    Retry,
    SettingsChanged,
    Shutdown,
    Status,
    StreamFailed,
    StreamStarted,
    UsersCounted,
)
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    LimitReached,
    MigrationsFinished,
    OccupancyIdle,
    OccupancyUsed,
    PartitionsFailed,
    ReplicationGap,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.state import ReplicationMode, StopReason
from tests.support.scenario import START, Scenario, given

RECOVERY_UNTIL: Final = START + timedelta(minutes=10)
ATTEMPT_AT: Final = START + timedelta(seconds=20)
STREAM_UNTIL: Final = START + timedelta(hours=2)
SHUTDOWN_AT: Final = START + timedelta(minutes=12)
RETRY_AT: Final = START + timedelta(seconds=6)
PAUSED_UNTIL: Final = START + timedelta(hours=1)
LONG_AFTER: Final = START + timedelta(days=1)
"""A moment at which every deadline of a situation has passed."""

YESTERDAY: Final = "2029-12-31"
TODAY: Final = "2030-01-01"
TOMORROW: Final = "2030-01-02"

REQUESTED: Final = ConnectRequested("us-east-1", "local", "tests")
CHECKED: Final = ConnectChecked(available=20, required=5, migrations_on_database=60, took_ms=12)
CHECKED_DURABLE: Final = ConnectChecked(20, 5, 60, 12, ReplicationMode.DURABLE)
PROVISIONED: Final = ConnectProvisioned(migrations_run=4, partitions=(TODAY, TOMORROW), took_ms=80)
LOST: Final = DatabaseLost(RECOVERY_UNTIL, "DatabaseConnectionDown", "the server closed the connection")
STOPPING: Final = ConnectStopping(StopReason.REQUESTED, None, "a shutdown was requested")
RELOADING: Final = ConnectStopping(StopReason.REQUESTED, None, "a reload was requested", reconnect=True)
STOPPED: Final = ConnectStopped(StopReason.REQUESTED, None, "a shutdown was requested")
PAUSED: Final = ConnectPaused("disk swap", "ada", PAUSED_UNTIL)
STOPPED_BY_PAUSE: Final = ConnectStopped(StopReason.PAUSED, None, "disk swap")
STARTED: Final = ReplicationStarted("slot_1", ReplicationMode.DURABLE, "0/16B3748", "73000001", 1, 25, "0/16B3790")
STREAM_LOST: Final = ReplicationLost(
    "ReplicationConnectionDown", "the server closed the stream", ATTEMPT_AT, STREAM_UNTIL, "0/16B3800"
)
POSTPONED: Final = ReplicationPostponed(
    "ReplicationMaxWalSendersReached", "no sender is free", ATTEMPT_AT, STREAM_UNTIL, None, "session 4711"
)
GAP: Final = ReplicationGap("0/16B3800", None, "the resume point is older than the oldest row", "inserted_at")
USED: Final = OccupancyUsed(3)
IDLE: Final = OccupancyIdle(SHUTDOWN_AT)
PARTITION_FAILED: Final = PartitionsFailed(TODAY, "permission denied for schema realtime")
FAILED: Final = ConnectStopped(StopReason.DATABASE_UNAVAILABLE, "UnableToConnectToTenantDatabase", "refused")
LIMITED: Final = LimitReached(RETRY_AT)
MIGRATED: Final = MigrationsFinished(migrations_run=21, migrations_on_database=81, took_ms=900)

CHECKING: Final = given(REQUESTED)
PROVISIONING: Final = CHECKING.given(CHECKED)
READY: Final = PROVISIONING.given(PROVISIONED)
STARTING: Final = CHECKING.given(CHECKED_DURABLE, PROVISIONED)
STREAMING: Final = STARTING.given(STARTED)
FAILING: Final = given(REQUESTED, FAILED, REQUESTED, FAILED, REQUESTED, FAILED)

LIFE: Final[dict[str, Scenario]] = {
    "never": given(),
    "checking": CHECKING,
    "provisioning": PROVISIONING,
    "ready": READY,
    "stopping": READY.given(STOPPING),
    "reloading": READY.given(RELOADING),
    "pausing": READY.given(PAUSED),
    "stopped": READY.given(STOPPING, STOPPED),
    "returning": READY.given(RELOADING, STOPPED),
    "paused": READY.given(PAUSED, STOPPED_BY_PAUSE),
}
"""From the first connect to the last stop. never: no event yet. ready: rows are not to be streamed. reloading:
stopping, to be connected again. pausing: stopping, because it is paused. returning: stopped, to be connected again.
The others are named like what the tenant is."""

CONNECTED: Final[dict[str, Scenario]] = {
    "recovering": READY.given(LOST),
    "starting": STARTING,
    "streaming": STREAMING,
    "waiting": STREAMING.given(STREAM_LOST),
    "postponed": STARTING.given(POSTPONED),
    "used": READY.given(USED),
    "idle": READY.given(IDLE),
    "undated": READY.given(PARTITION_FAILED),
}
"""Ready, and what there is beside. waiting: the stream broke. postponed: the stream could not be started.
undated: a day has no partition."""

REFUSED: Final[dict[str, Scenario]] = {
    "failing": FAILING,
    "limited": FAILING.given(LIMITED),
    "delayed": FAILING.given(REQUESTED, RELOADING, STOPPED, LIMITED),
}
"""Connecting failed. failing: three times, which was not weighed yet. limited: it is not tried for a while.
delayed: the same, and it is to be connected again afterwards."""

SITUATIONS: Final[dict[str, Scenario]] = {**LIFE, **CONNECTED, **REFUSED}

COMMANDS: Final[dict[str, Command]] = {
    "connect": Connect(requested_by="tests"),
    "status": Status(),
    "check_health": CheckHealth(),
    "retry": Retry("mended", "ada"),
    "shutdown": Shutdown(),
    "reload": Reload(),
    "pause": PauseTenant("moving house", "bob", LONG_AFTER + timedelta(hours=1)),
    "resume": ResumeTenant("done", "bob"),
}
"""One command of each type."""

REPORTS: Final[dict[str, Report]] = {
    "check_passed": CheckPassed(20, 5, 60, 12, ReplicationMode.DURABLE),
    "provision_done": ProvisionDone(4, (TODAY, TOMORROW), 80),
    "effect_failed": EffectFailed(StopReason.DATABASE_UNAVAILABLE, "UnableToConnectToTenantDatabase", "refused"),
    "connection_closed": ConnectionClosed(),
    "connection_lost": ConnectionLost("DatabaseConnectionDown", "the server closed the connection"),
    "connection_restored": ConnectionRestored(),
    "reconnect_wanted": ReconnectWanted(),
    "failures_weighed": FailuresWeighed(),
    "settings_changed": SettingsChanged(),
    "migrations_done": MigrationsDone(21, 81, 900),
    "stream_started": StreamStarted("slot_1", ReplicationMode.DURABLE, "0/16B3748", "73000001", 1, 25, "0/16B3790"),
    "stream_failed": StreamFailed("ReplicationConnectionDown", "the server closed the stream", "0/16B3800", chance=0.5),
    "gap_found": GapFound("0/16B3800", None, "the resume point is older than the oldest row", "inserted_at"),
    "somebody_came": UsersCounted(3, None),
    "nobody_came": UsersCounted(0, START),
    "partition_failed": PartitionFailed(TODAY, "permission denied for schema realtime"),
    "partition_made": PartitionMade(TODAY),
    "pause_over": DeadlineReached(Deadline.PAUSE),
    "limit_over": DeadlineReached(Deadline.CONNECT_LIMIT),
    "recovery_over": DeadlineReached(Deadline.DATABASE_RECOVERY),
    "attempt_due": DeadlineReached(Deadline.REPLICATION_ATTEMPT),
    "stream_over": DeadlineReached(Deadline.REPLICATION_RECOVERY),
    "idle_over": DeadlineReached(Deadline.IDLE_SHUTDOWN),
}
"""One report of each type, two of those that can say two things, and one for each deadline."""

ASKED: Final[dict[str, Command | Report]] = {**COMMANDS, **REPORTS}


def cells(*tables: str) -> list[tuple[str, str, str]]:
    """Row, column and content of each cell of ``tables``: a header of columns, then lines that start with the row."""
    return [cell for table in tables for cell in _cells(table)]


def _cells(table: str) -> list[tuple[str, str, str]]:
    header, *lines = [line.split() for line in table.strip().splitlines()]
    assert all(len(line) == len(header) for line in lines), "a line of the table has another number of cells"
    return [(line[0], column, cell) for line in lines for column, cell in zip(header[1:], line[1:], strict=True)]
