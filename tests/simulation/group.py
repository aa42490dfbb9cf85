"""The consumer group's coordinator: members, generations, assignments, and what is committed.

Kafka's classic protocol, eager: with every change all members give everything back, join again, and get what they get
under a new generation. JoinGroup and SyncGroup are one step here: the coordinator assigns by itself.

Source: KIP-62 (heartbeats apart from processing), KIP-134 and the broker's `GroupCoordinator`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final, NamedTuple

from tests.simulation.broker import Place
from tests.simulation.scheduler import Scheduler

KEPT_SHARE: Final = 0.6
"""Share of partitions that stay where they were in a rebalance, where their member is still there."""


class Pulse(Enum):
    """What a heartbeat is answered with."""

    GOOD = "good"
    REBALANCE = "rebalance"
    UNKNOWN = "unknown"


class Joined(NamedTuple):
    """What a member gets.

    Attributes:
        generation: of the group.
        partitions: numbers of the partitions, of every topic, that are its own.
    """

    generation: int
    partitions: tuple[int, ...]


class _Member:
    __slots__ = ("answer", "heard_at", "name")

    def __init__(self, name: str, heard_at: float) -> None:
        self.name = name
        self.heard_at = heard_at
        self.answer: Callable[[Joined], None] | None = None


class Coordinator:
    """One group.

    Args:
        scheduler: virtual time.
        partitions: number of partitions of every topic.
        session_timeout_s: how long a member may be silent.
        rebalance_timeout_s: how long a rebalance waits for members who have not joined again.
    """

    def __init__(
        self, scheduler: Scheduler, partitions: int, session_timeout_s: float, rebalance_timeout_s: float
    ) -> None:
        self.generation = 0
        self.committed: dict[Place, int] = {}
        self.assigned: dict[int, str] = {}
        self._scheduler = scheduler
        self._partitions = partitions
        self._session_timeout_s = session_timeout_s
        self._rebalance_timeout_s = rebalance_timeout_s
        self._members: dict[str, _Member] = {}
        self._preparing = False
        self._round = 0

    def __str__(self) -> str:
        return "coordinator"

    @property
    def members(self) -> tuple[str, ...]:
        """Who is in the group now."""
        return tuple(self._members)

    def join(self, name: str, answer: Callable[[Joined], None]) -> None:
        """A member joins, or joins again; it is answered when all have."""
        member = self._members.get(name)
        if member is None:
            member = self._members[name] = _Member(name, self._scheduler.now)
            self._scheduler.after(self._session_timeout_s, self._expire, member)
        member.heard_at = self._scheduler.now
        member.answer = answer
        self._prepare()
        self._complete_if_all_joined()

    def leave(self, name: str) -> None:
        """A member leaves, or is thrown out."""
        if self._members.pop(name, None) is not None:
            self._prepare()
            self._complete_if_all_joined()

    def heartbeat(self, name: str, generation: int) -> Pulse:
        """A member shows that it lives."""
        member = self._members.get(name)
        if member is None:
            return Pulse.UNKNOWN
        member.heard_at = self._scheduler.now
        return Pulse.GOOD if generation == self.generation and not self._preparing else Pulse.REBALANCE

    def commit(self, name: str, generation: int, offsets: Mapping[Place, int]) -> bool:
        """Commit offsets; only a member of the current generation may."""
        if name not in self._members or generation != self.generation:
            return False
        self.committed.update(offsets)
        return True

    def shuffle(self) -> None:
        """Assign anew, for no reason."""
        if self._members:
            self._prepare()

    def forget(self) -> bool:
        """The group is made anew: generations restart and nothing is committed; only an empty group can be."""
        if self._members:
            return False
        self.generation = 0
        self.committed.clear()
        self.assigned.clear()
        return True

    def _expire(self, member: _Member) -> None:
        if self._members.get(member.name) is not member:
            return
        silent_s = self._scheduler.now - member.heard_at
        if member.answer is None and silent_s >= self._session_timeout_s:
            self._scheduler.say(f"coordinator throws {member.name} out, silent for {silent_s:.2f} s")
            self.leave(member.name)
        else:
            left_s = self._session_timeout_s if member.answer else self._session_timeout_s - silent_s
            self._scheduler.after(max(left_s, 0.001), self._expire, member)

    def _prepare(self) -> None:
        if not self._preparing:
            self._preparing = True
            self._round += 1
            self._scheduler.after(self._rebalance_timeout_s, self._lose_patience, self._round)

    def _lose_patience(self, round_: int) -> None:
        if self._preparing and round_ == self._round:
            for name in [name for name, member in self._members.items() if member.answer is None]:
                del self._members[name]
            self._complete_if_all_joined()

    def _complete_if_all_joined(self) -> None:
        if not self._members:
            self._preparing = False
            self.assigned.clear()
        elif self._preparing and all(member.answer for member in self._members.values()):
            self._preparing = False
            self.generation += 1
            self._assign()
            for member in list(self._members.values()):
                answer, member.answer = member.answer, None
                member.heard_at = self._scheduler.now
                if answer is not None:
                    answer(Joined(self.generation, self._partitions_of(member.name)))

    def _assign(self) -> None:
        names = list(self._members)
        chance = self._scheduler.random
        chance.shuffle(names)
        for number in range(self._partitions):
            stays = self.assigned.get(number) in self._members and chance.random() < KEPT_SHARE
            if not stays:
                self.assigned[number] = names[number % len(names)]
        self._scheduler.say(f"coordinator: generation {self.generation}: {self.assigned}")

    def _partitions_of(self, name: str) -> tuple[int, ...]:
        return tuple(number for number, owner in sorted(self.assigned.items()) if owner == name)
