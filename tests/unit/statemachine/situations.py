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
    PauseTenant,
    ProvisionDone,
    ReconnectWanted,
    Reload,
    Report,
    ResumeTenant,
    Retry,
    Shutdown,
    Status,
)
from statemachine.events import (
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
)
from statemachine.state import StopReason
from tests.support.scenario import START, Scenario, given

RECOVERY_UNTIL: Final = START + timedelta(minutes=10)
PAUSED_UNTIL: Final = START + timedelta(hours=1)
LONG_AFTER: Final = START + timedelta(days=1)
"""A moment at which every deadline of a situation has passed."""

REQUESTED: Final = ConnectRequested("us-east-1", "local", "tests")
CHECKED: Final = ConnectChecked(available=20, required=5, migrations_on_database=60, took_ms=12)
PROVISIONED: Final = ConnectProvisioned(migrations_run=4, partitions=("2030-01-01", "2030-01-02"), took_ms=80)
LOST: Final = DatabaseLost(RECOVERY_UNTIL, "DatabaseConnectionDown", "the server closed the connection")
STOPPING: Final = ConnectStopping(StopReason.REQUESTED, None, "a shutdown was requested")
RELOADING: Final = ConnectStopping(StopReason.REQUESTED, None, "a reload was requested", reconnect=True)
STOPPED: Final = ConnectStopped(StopReason.REQUESTED, None, "a shutdown was requested")
PAUSED: Final = ConnectPaused("disk swap", "ada", PAUSED_UNTIL)
STOPPED_BY_PAUSE: Final = ConnectStopped(StopReason.PAUSED, None, "disk swap")

CHECKING: Final = given(REQUESTED)
PROVISIONING: Final = CHECKING.given(CHECKED)
READY: Final = PROVISIONING.given(PROVISIONED)

SITUATIONS: Final[dict[str, Scenario]] = {
    "never": given(),
    "checking": CHECKING,
    "provisioning": PROVISIONING,
    "ready": READY,
    "recovering": READY.given(LOST),
    "stopping": READY.given(STOPPING),
    "reloading": READY.given(RELOADING),
    "pausing": READY.given(PAUSED),
    "stopped": READY.given(STOPPING, STOPPED),
    "returning": READY.given(RELOADING, STOPPED),
    "paused": READY.given(PAUSED, STOPPED_BY_PAUSE),
}
"""never: no event yet. reloading: stopping, to be connected again. pausing: stopping, because it is paused.
returning: stopped, to be connected again. The others are named like what the tenant is."""

COMMANDS: Final[dict[str, Command]] = {
    "connect": Connect(requested_by="tests"),
    "status": Status(),
    "check_health": CheckHealth(),
    "retry": Retry("mended", "ada"),
    "shutdown": Shutdown(),
    "reload": Reload(),
    "pause": PauseTenant("moving house", "bob", LONG_AFTER),
    "resume": ResumeTenant("done", "bob"),
}
"""One command of each type."""

REPORTS: Final[dict[str, Report]] = {
    "check_passed": CheckPassed(20, 5, 60, 12),
    "provision_done": ProvisionDone(4, ("2030-01-01", "2030-01-02"), 80),
    "effect_failed": EffectFailed(StopReason.DATABASE_UNAVAILABLE, "UnableToConnectToTenantDatabase", "refused"),
    "connection_closed": ConnectionClosed(),
    "connection_lost": ConnectionLost("DatabaseConnectionDown", "the server closed the connection"),
    "connection_restored": ConnectionRestored(),
    "reconnect_wanted": ReconnectWanted(),
    "pause_over": DeadlineReached(Deadline.PAUSE),
    "recovery_over": DeadlineReached(Deadline.DATABASE_RECOVERY),
}
"""One report of each type, and one for each deadline."""

ASKED: Final[dict[str, Command | Report]] = {**COMMANDS, **REPORTS}


def cells(table: str) -> list[tuple[str, str, str]]:
    """Row, column and content of each cell of ``table``: a header of columns, then lines that start with the row."""
    header, *lines = [line.split() for line in table.strip().splitlines()]
    assert all(len(line) == len(header) for line in lines), "a line of the table has another number of cells"
    return [(line[0], column, cell) for line in lines for column, cell in zip(header[1:], line[1:], strict=True)]
