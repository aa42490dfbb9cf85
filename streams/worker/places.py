"""Which partition a tenant is in."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from streams.kafka.partitioner import partition_of

TENANT_PLACES_KEPT_MAX: Final = 200_000
"""Tenants whose partition is remembered: hashing a key costs more than looking it up."""


@lru_cache(maxsize=TENANT_PLACES_KEPT_MAX)
def place_of(tenant: str, partitions: int) -> int:
    """The partition of a tenant, by Kafka's default partitioner."""
    return partition_of(tenant, partitions)
