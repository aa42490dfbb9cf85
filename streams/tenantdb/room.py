"""How many connections a tenant's database must have free; arithmetic only.

The rule is that of the platform whose databases these are: the sum of the pools that may open, of which 95 % must be
less than what is free.
"""

from __future__ import annotations

from dataclasses import dataclass

DEMAND_PERCENT = 95
"""Share of the summed pools that must fit."""

FIXED_POOLS = {
    "realtime_subscription_manager": 1,
    # The platform opens nothing under this name any more. It pays for the session that holds the tenant's lock, which
    # the platform does not have: so the sum stays the platform's own, and the lock is in it.
    "realtime_health_check": 1,
    "realtime_janitor": 1,
    "realtime_migrations": 2,
    "realtime_broadcast_changes": 1,
    "realtime_rls": 1,
    "realtime_replication_slot_teardown": 1,
}
"""Connections by application name that do not depend on the tenant's settings."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on the server, and what must be, in connections."""

    available: int
    required: int

    @property
    def enough(self) -> bool:
        """Whether the tenant may be connected: strictly less is required than is available."""
        return self.required < self.available


def pooled_connections(pool_size: int, subscription_pool_size: int = 1) -> int:
    """Sum all pools that may open on the database.

    Args:
        pool_size: the durable pool of this service; the size that is opened is the size that is counted.
        subscription_pool_size: the pool for subscriptions of other services.
    """
    return sum(FIXED_POOLS.values()) + pool_size + subscription_pool_size


def requirement(pooled: int) -> int:
    """Return `DEMAND_PERCENT` of the summed pools, rounded up (10 → 10, 131 → 125, 208 → 198)."""
    return -(-pooled * DEMAND_PERCENT // 100)


def room(*, connections_max: int, used: int, pool_size: int) -> Room:
    """Weigh what is free against what is required.

    Args:
        connections_max: the server's `max_connections`.
        used: sessions and background processes of the whole server that are not ours.
        pool_size: the tenant's durable pool.
    """
    return Room(available=connections_max - used, required=requirement(pooled_connections(pool_size)))
