"""What the owners of a worker share, and what they need of those who work for them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple, Protocol

from statemachine.commands import Connect, Report, Shutdown
from statemachine.state import StopReason, TenantState
from statemachine.terms import Terms
from streams.errors import OwnershipLost
from streams.log.producer import LogProducer
from streams.worker.dead_letters import DeadLetters
from streams.worker.replies import Replies


class Owner(Protocol):
    """Whoever decides for the tenants of a partition, as those who work for it see it."""

    @property
    def number(self) -> int:
        """The partition's number."""

    @property
    def claim(self) -> int:
        """The claim under which it is held."""

    def state(self, tenant: str) -> TenantState:
        """The tenant's state, events on their way to the log included."""

    def report(self, tenant: str, report: Report | Shutdown | Connect, causation: str) -> None:
        """Decide what the worker's own effects, timers or counts say of a tenant."""

    async def prove(self, *, doubted: bool = False) -> None:
        """Return once the claim is known to count: by what the log told lately, or by asking it.

        Args:
            doubted: somebody was met who has a newer claim; whatever was known before is known no more.

        Raises:
            OwnershipLost: a newer claim is on the log.
            KafkaUnreachable: no broker answered.
        """


class Users(Protocol):
    """Who uses the tenants, as far as gateways reported."""

    def count(self, tenant: str) -> int:
        """Users of a tenant now."""

    def empty_since(self, tenant: str) -> datetime | None:
        """Since when nobody uses a tenant; None while somebody does, and where no gateway ever reported."""

    def known(self, partition: int) -> bool:
        """Whether the reports for a partition's tenants were read."""

    def tenants_with_users(self, partition: int) -> Collection[str]:
        """The tenants of a partition that somebody uses."""


class Effects(Protocol):
    """Does the work that states call for."""

    def want(self, owner: Owner, state: TenantState) -> None:
        """The tenant's state, which is on the log, calls for its reaction; a repeated call changes nothing."""

    def reconsider(self, owner: Owner, state: TenantState) -> None:
        """The tenant's catalog entry is another one: report where it differs from what is held."""

    def removed(self, owner: Owner, state: TenantState) -> None:
        """The tenant's catalog entry is gone: forget what was kept for its next connection."""

    def migrate(self, owner: Owner, tenant: str) -> None:
        """Bring the database of a tenant that is not connected up to date, once at a time."""

    async def forget(self, owner: Owner) -> None:
        """Close what is held for the owner's tenants, within a bound."""


class Office(NamedTuple):
    """What the owners of a worker share.

    Attributes:
        producer: where records go.
        replies: answers callers.
        dead_letters: parks what cannot be read.
        effects: does the work that states call for.
        users: who uses the tenants.
        terms: what the surroundings say of a tenant, or of none in particular.
        unwanted: why the catalog does not want a tenant connected, None where it does.
        now: the clock, aware, UTC.
        region: the serving region.
        migrations: number of migrations there are.
        partitions: number of partitions of the region's topics.
        value_bytes_max: size at which a command's value is refused.
        waiters_per_tenant_max: callers kept per tenant.
        proof_age_s_max: how long ago the log may have told that a claim counts, for a connection to be opened, in
            seconds.
        failed: told of a failure that the worker cannot survive.
        lost: told of a partition that turned out to be another worker's.
    """

    producer: LogProducer
    replies: Replies
    dead_letters: DeadLetters
    effects: Effects
    users: Users
    terms: Callable[[str | None], Terms]
    unwanted: Callable[[str], StopReason | None]
    now: Callable[[], datetime]
    region: str
    migrations: int
    partitions: int
    value_bytes_max: int
    waiters_per_tenant_max: int
    proof_age_s_max: float
    failed: Callable[[Exception], None]
    lost: Callable[[int, OwnershipLost], None]
