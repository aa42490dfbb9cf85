"""Every bound of the core, with its unit and its reason."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

COMMAND_IDS_KEPT_MAX: Final = 16
"""Command ids remembered per tenant: a client's own retries come within a handful of commands."""

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
