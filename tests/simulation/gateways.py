"""Gateways, which report how many users a tenant has, and the reading of their reports by a worker's thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from streams.log.reader import Record
from streams.users.following import Following
from streams.wire.users import UserReport
from tests.simulation.broker import EPOCH_MS

if TYPE_CHECKING:
    from tests.simulation.process import Process
    from tests.simulation.world import World

PAUSE_S: Final = 1.2
"""Longest time between two reports of a gateway."""

LONG_MS: Final = 60_000


class Gateway:
    """One gateway.

    Args:
        world: where it is.
        number: which one.

    Attributes:
        everybody: whether it has users of every tenant now; else of one or another, and at times of none.
        idle: whether it has nobody.
    """

    def __init__(self, world: World, number: int) -> None:
        self.everybody = False
        self.idle = False
        self._world = world
        self._name = f"gateway-{number}"

    def __str__(self) -> str:
        return self._name

    def report(self) -> None:
        """Report, and again later."""
        world, chance = self._world, self._world.scheduler.random
        if self.everybody:
            for tenant in world.tenants:
                self._write(tenant, UserReport(gateway=self._name, users=1, ttl_ms=LONG_MS))
        elif not self.idle:
            users, ttl_ms = chance.choice((0, 0, 1, 3)), chance.choice((400, 2_000, 8_000))
            self._write(chance.choice(world.tenants), UserReport(gateway=self._name, users=users, ttl_ms=ttl_ms))
        world.scheduler.after(PAUSE_S * chance.random(), self.report)

    def _write(self, tenant: str, report: UserReport) -> None:
        world = self._world
        body = report.model_dump_json().encode()
        world.broker.append(world.topics.users, world.place_of(tenant), tenant.encode(), body)


class SimulatedUsersSource:
    """`streams.users.source.UsersSource` over the simulated broker.

    Args:
        process: whose thread reads.
        topic: the users' topic.

    Attributes:
        read_now: what is read, by partition.
    """

    def __init__(self, process: Process, topic: str) -> None:
        self.read_now: dict[int, Following] = {}
        self._process = process
        self._topic = topic
        self._positions: dict[int, int] = {}

    def close(self) -> None:
        """Stop reading."""

    def turn_to(self, followed: Mapping[int, Following]) -> None:
        """Read these partitions and no others."""
        self.read_now = {
            partition: each for partition, each in self.read_now.items() if followed.get(partition) is each
        }
        if not self._process.link.hears:
            return
        for partition, following in followed.items():
            if partition not in self.read_now:
                records = self._process.world.broker.partitions[self._topic, partition]
                first = next((stored.offset for stored in records if stored.timestamp >= EPOCH_MS), len(records))
                following.begin(first, len(records))
                self._positions[partition] = first
                self.read_now[partition] = following

    def read(self) -> list[Record]:
        """What has come."""
        self._process.turn.wait()
        if not self._process.link.hears:
            return []
        found: list[Record] = []
        for partition, following in self.read_now.items():
            records: list[Any] = self._process.world.broker.partitions[self._topic, partition]
            found += [
                Record(stored.partition, stored.offset, stored.timestamp, stored.key, stored.value)
                for stored in records[self._positions[partition] :]
            ]
            self._positions[partition] = len(records)
            following.pass_by(len(records))
        return found
