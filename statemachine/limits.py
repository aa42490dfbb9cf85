"""Every bound of the core, with its unit and its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

COMMAND_IDS_KEPT_MAX: Final = 64
"""Command ids remembered per tenant while commands keep coming: what piles up in an outage comes with its copies."""

COMMAND_IDS_KEPT_LONG: Final = 16
"""Command ids remembered per tenant after `COMMAND_IDS_KEPT_FOR` without a command that led to an event."""

COMMAND_IDS_KEPT_FOR: Final = timedelta(minutes=10)
"""How long more than the last few ids are of use: no client sends a command again for longer."""

COMMAND_ID_LENGTH_MAX: Final = 128
"""Characters of a command id."""

TENANT_ID_LENGTH_MAX: Final = 128
"""Characters of a tenant id."""

TEXT_LENGTH_MAX: Final = 2000
"""Characters of a reason, an author or a message that is kept in an event."""

CONNECT_TIMEOUT_MS: Final = 15_000
"""How long a connect waits for its tenant by default, in milliseconds."""

CONNECT_TIMEOUT_MS_MAX: Final = 600_000
"""The longest wait that a connect may ask for, in milliseconds."""

DATABASE_RECOVERY_WINDOW: Final = timedelta(minutes=10)
"""How long a lost database may stay away before the tenant is stopped."""

REPLICATION_RECOVERY_WINDOW: Final = timedelta(hours=2)
"""How long rows may not be streamed before the tenant is stopped."""

REPLICATION_DELAY_MIN: Final = timedelta(seconds=5)
"""The shortest wait before streaming is tried again."""

REPLICATION_DELAY_MAX: Final = timedelta(minutes=5)
"""The longest wait before streaming is tried again."""

IDLE_WINDOW: Final = timedelta(minutes=11)
"""How long nobody may use a tenant before it counts as idle: eleven of the platform's minutes."""

IDLE_GRACE: Final = timedelta(minutes=1)
"""How long an idle tenant is kept: the platform's last minute, in which a user may come back."""

CONNECT_FAILURES_MAX: Final = 3
"""Connect failures within `CONNECT_FAILURES_WINDOW` at which no more is tried."""

CONNECT_FAILURES_WINDOW: Final = timedelta(seconds=5)
"""The time within which connect failures are counted, and after whose first nothing is tried."""

CONNECT_FAILURES_KEPT_MAX: Final = 16
"""Connect failures remembered per tenant: the most that the limit can be set to."""

PARTITION_DAYS_KEPT_MAX: Final = 8
"""Failed days remembered per tenant: those that are looked after, and some that have passed."""
