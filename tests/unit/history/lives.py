"""Events of a tenant's life, for tests to choose from."""

from __future__ import annotations

from typing import Final

from statemachine.events import ConnectChecked, ConnectProvisioned, ConnectRequested, ConnectStopped, ConnectStopping
from statemachine.state import StopReason

REQUESTED: Final = ConnectRequested("us-east-1", "local", "test")
CHECKED: Final = ConnectChecked(90, 5, 0, 12)
PROVISIONED: Final = ConnectProvisioned(70, ("2030-01-01",), 30)
STOPPING: Final = ConnectStopping(StopReason.REQUESTED)
STOPPED: Final = ConnectStopped(StopReason.REQUESTED)

READY: Final = (REQUESTED, CHECKED, PROVISIONED)
"""From nothing to ready."""

AWAY: Final = (STOPPING, STOPPED)
"""From ready to absent."""
