"""The advisory locks of a simulated server: who has each, and who waits for it in its queue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.postgres import Session

Place = tuple[str, int]
"""Database and key."""


class Locks:
    """A lock goes to whoever waited longest, and to nobody who does not wait while somebody does."""

    def __init__(self) -> None:
        self._holders: dict[Place, Session] = {}
        self._queues: defaultdict[Place, list[Session]] = defaultdict(list)

    @property
    def holders(self) -> Iterable[Session]:
        """Sessions that have a lock."""
        return self._holders.values()

    def holder(self, place: Place) -> Session | None:
        """Who has it."""
        return self._holders.get(place)

    def take(self, place: Place, session: Session) -> bool:
        """`pg_try_advisory_lock`."""
        if session.ending or (place not in self._holders and self._queues[place]):
            return False
        return self._holders.setdefault(place, session) is session

    def queue(self, place: Place, session: Session) -> None:
        """`pg_advisory_lock`: wait for it, behind those who wait already."""
        self._queues[place].append(session)
        self._grant(place)

    def leave(self, place: Place, session: Session) -> bool:
        """Wait for it no longer; whether it was had by then."""
        if session in self._queues[place]:
            self._queues[place].remove(session)
        return self._holders.get(place) is session

    def ended(self, session: Session) -> None:
        """The session is gone, and with it what it had and waited for."""
        for place in list(self._queues):
            self.leave(place, session)
        for place in [place for place, holder in self._holders.items() if holder is session]:
            del self._holders[place]
            self._grant(place)

    def _grant(self, place: Place) -> None:
        queue = self._queues[place]
        while queue and place not in self._holders:
            session = queue.pop(0)
            if not session.ending:
                self._holders[place] = session
