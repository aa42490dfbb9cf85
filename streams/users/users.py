"""Who uses the tenants of a worker's partitions: asked by tenant, told by tenant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

from statemachine.errors import TenantConnectError
from streams.kafka.partitioner import partition_of
from streams.log.reader import Record
from streams.users.counts import Counts, Tally
from streams.users.view import UsersView

TENANT_PLACES_KEPT_MAX: Final = 200_000
"""Tenants whose partition is remembered: hashing a key costs more than looking it up."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class Users:
    """The users of tenants, as far as gateways reported. Runs in the event loop that it was made in.

    Of a partition that is not followed nothing is known: nobody uses its tenants. While a followed partition is
    not `known` yet, answers are as of what was read so far, and nobody is told of edges.

    Args:
        configuration: librdkafka properties of a consumer outside any group.
        topic: the users' topic.
        partitions: its number of partitions.
        now: the clock, aware; called in two threads.
        edge: told a tenant whose first user came or whose last one left, be it that a report's time was over. A
            short visit is told once. When a partition becomes known it is told every tenant that is used.
        unreadable: told of a record that breaks the contract, to be parked, and what is wrong with it. Records
            that an owner before has seen are only counted.
        failed: told when reading cannot go on.
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        topic: str,
        partitions: int,
        now: Callable[[], datetime],
        *,
        edge: Callable[[str], None],
        unreadable: Callable[[Record, TenantConnectError], None],
        failed: Callable[[Exception], None],
    ) -> None:
        def now_ms() -> int:
            return int(now().timestamp() * 1000)

        self._partitions = partitions
        self._view = UsersView(
            configuration, topic, partitions, now_ms, turned=edge, unreadable=unreadable, failed=failed
        )

    @property
    def tally(self) -> Tally:
        """How many reports were read and left out since the start."""
        return self._view.tally

    def start(self) -> None:
        """Begin to read what is taken."""
        self._view.start()

    async def close(self) -> None:
        """Stop reading, within a bound."""
        await self._view.close()

    def take(self, partition: int) -> None:
        """Follow a partition, from the first report of the last hour on."""
        self._view.take(partition)

    def drop(self, partition: int) -> None:
        """Follow a partition no longer; fine where it is not followed. Nobody is told of its tenants any more."""
        self._view.drop(partition)

    async def caught_up(self, partition: int) -> None:
        """Return when every report was read that stood there when the partition was taken.

        Raises:
            KafkaUnreachable: it was not so within `streams.users.view.CATCH_UP_TIMEOUT_S`; reading goes on.
            OwnershipLost: the partition is not followed, or was dropped meanwhile.
        """
        await self._view.caught_up(partition)

    def known(self, partition: int) -> bool:
        """Whether every report was read that stood there when the partition was taken."""
        return self._view.known(partition)

    def count(self, tenant: str) -> int:
        """Users of a tenant now."""
        return self._view.ask(self._place(tenant), lambda counts, now_ms: counts.users(tenant, now_ms), 0)

    def reported(self, tenant: str) -> bool:
        """Whether anything was reported of a tenant within the last hour."""
        return self._view.ask(self._place(tenant), lambda counts, _: counts.reported(tenant), unknown=False)

    def empty_since(self, tenant: str) -> datetime | None:
        """Since when nobody uses a tenant, aware, UTC: the same moment whoever derives it, from whichever report on.

        None while somebody does, and where nothing was `reported`.
        """
        since_ms = self._view.ask(
            self._place(tenant), lambda counts, now_ms: counts.empty_since(tenant, now_ms), unknown=None
        )
        return None if since_ms is None else _EPOCH + since_ms * _MILLISECOND

    def tenants_with_users(self, partition: int) -> frozenset[str]:
        """The tenants of a partition that somebody uses."""
        return self._view.ask(partition, _used, frozenset())

    def _place(self, tenant: str) -> int:
        return _place_of(tenant, self._partitions)


def _used(counts: Counts, _now_ms: int) -> frozenset[str]:
    return frozenset(counts.used)


@lru_cache(maxsize=TENANT_PLACES_KEPT_MAX)
def _place_of(tenant: str, partitions: int) -> int:
    return partition_of(tenant, partitions)
