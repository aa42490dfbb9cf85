"""What the surroundings say at the moment of a decision: settings, the catalog, and the count of users."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from statemachine.limits import (
    CONNECT_FAILURES_MAX,
    CONNECT_FAILURES_WINDOW,
    DATABASE_RECOVERY_WINDOW,
    IDLE_GRACE,
    IDLE_WINDOW,
    REPLICATION_DELAY_MAX,
    REPLICATION_DELAY_MIN,
    REPLICATION_RECOVERY_WINDOW,
)


class Terms(NamedTuple):
    """What the surroundings say at the moment of a decision.

    Attributes:
        platform_region: region of the tenant's catalog entry, None where it has none.
        serving_region: region whose workers serve it.
        database_recovery_window: how long a lost database may stay away.
        replication_recovery_window: how long rows may not be streamed.
        replication_delay_min: the shortest wait before streaming is tried again.
        replication_delay_max: the longest.
        idle_window: how long nobody may use a tenant before it is idle.
        idle_grace: how long an idle tenant is kept.
        failures_max: connect failures within ``failures_window`` at which no more is tried.
        failures_window: the time within which they are counted.
        users: users of the tenant now, None where that is not known.
    """

    platform_region: str | None = None
    serving_region: str | None = None
    database_recovery_window: timedelta = DATABASE_RECOVERY_WINDOW
    replication_recovery_window: timedelta = REPLICATION_RECOVERY_WINDOW
    replication_delay_min: timedelta = REPLICATION_DELAY_MIN
    replication_delay_max: timedelta = REPLICATION_DELAY_MAX
    idle_window: timedelta = IDLE_WINDOW
    idle_grace: timedelta = IDLE_GRACE
    failures_max: int = CONNECT_FAILURES_MAX
    failures_window: timedelta = CONNECT_FAILURES_WINDOW
    users: int | None = None
