"""Windows and intervals of a tenant's life: users, failures, the days of its messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from statemachine.limits import CONNECT_FAILURES_KEPT_MAX
from streams.settings.theme import Count, Milliseconds, Theme

USERS_RETENTION_MS = 3_600_000
"""How long reports of users are kept: what is older cannot be derived from them by the next owner."""


class LifecycleSettings(Theme):
    """A tenant's life."""

    users_check_interval_ms: Milliseconds = Field(
        default=60_000,
        description="How often it is looked at whether connected tenants are still used, in milliseconds.",
    )
    idle_window_ms: Annotated[int, Field(gt=0, lt=USERS_RETENTION_MS)] = Field(
        default=660_000,
        description="Milliseconds without users after which a tenant is idle; less than the hour of the reports.",
    )
    idle_grace_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds an idle tenant is kept; a user who comes back meanwhile cancels its shutdown.",
    )
    reconnect_interval_ms: Milliseconds = Field(
        default=300_000,
        description="How often tenants that have users and no connection are connected again, in milliseconds.",
    )
    connect_failures_max: Annotated[int, Field(gt=0, le=CONNECT_FAILURES_KEPT_MAX)] = Field(
        default=3,
        description="Connect failures of a tenant within CONNECT_FAILURES_WINDOW_MS after which none is tried.",
    )
    connect_failures_window_ms: Milliseconds = Field(
        default=5_000,
        description="Milliseconds within which connect failures are counted; nothing is tried until the first of them "
        "is that old.",
    )
    housekeeping_interval_ms: Milliseconds = Field(
        default=14_400_000,
        description="How often partitions are made and expired ones dropped, in milliseconds.",
    )
    housekeeping_jitter_max_ms: Milliseconds = Field(
        default=3_540_000,
        description="Longest random delay of a round of housekeeping, in milliseconds.",
    )
    housekeeping_tenants_max: Count = Field(
        default=5,
        description="Tenants of a worker whose messages are looked after at once.",
    )
    partitions_retry_ms: Milliseconds = Field(
        default=300_000,
        description="Milliseconds until a day's partition that could not be made is tried again.",
    )
    messages_retention_ms: Milliseconds = Field(
        default=259_200_000,
        description="Milliseconds a tenant's messages are kept in its database; whole days are dropped.",
    )
