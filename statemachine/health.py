"""Whether a tenant is healthy, derived from its state; asking starts nothing."""

from __future__ import annotations

from typing import NamedTuple

from statemachine.machines import DatabaseHealth, Lifecycle, Replication
from statemachine.state import TenantState


class Health(NamedTuple):
    """What a health check finds.

    Attributes:
        healthy: connected, with the database up and every day's partition there; or not wanted by anybody and with
            nothing left to migrate.
        db_connected: the connection is held.
        replication_connected: rows are streamed; it is not needed to be healthy.
        connected_cluster: users of the tenant on all gateways.
        migrations_pending: the database was never seen, or has fewer migrations than there are.
        partitions_failed: days without a partition, ISO 8601.
    """

    healthy: bool
    db_connected: bool
    replication_connected: bool
    connected_cluster: int
    migrations_pending: bool
    partitions_failed: tuple[str, ...]


def health(state: TenantState, users: int, migrations_known: int) -> Health:
    """The health of a tenant with so many users, where there are so many migrations."""
    connected = state.lifecycle is Lifecycle.READY and state.database is DatabaseHealth.UP
    pending = state.migrations is None or state.migrations < migrations_known
    at_rest = state.lifecycle is Lifecycle.ABSENT and users == 0 and not pending
    return Health(
        healthy=(connected or at_rest) and not state.partitions_failed,
        db_connected=connected,
        replication_connected=state.replication is Replication.STREAMING,
        connected_cluster=users,
        migrations_pending=pending,
        partitions_failed=state.partitions_failed,
    )
