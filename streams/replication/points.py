"""What the positions of one partition say: pure, record by record, in their order."""

from __future__ import annotations

import structlog

from streams.errors import RecordUnreadable
from streams.wire.position import ResumePoint, decode_position, fenced_claim

log = structlog.get_logger(__name__)


class Points:
    """Resume points, as the records so far leave them.

    A point whose claim is older than a fence that stands before it is void: its writer was deposed by then, and readers
    may have dropped the rows that it vouches for. The tenant's point before it still holds.

    Attributes:
        by_tenant: the point of each tenant.
        fence: the highest claim that was fenced so far, -1 for none.
        fences: the keys of the fences that are there.
        void: how many points were void. The fences before them are still needed: compaction may keep the points.
    """

    def __init__(self) -> None:
        self.by_tenant: dict[str, ResumePoint] = {}
        self.fence = -1
        self.fences: set[bytes] = set()
        self.void = 0

    def take(self, key: bytes | None, value: bytes | None, place: str) -> None:
        """The next record; ``place`` names topic, partition and offset. One that cannot be read is logged, and no more.

        Whatever it was meant to say, the point before it still holds.
        """
        if key is None:
            log.warning("position.unreadable", code=RecordUnreadable.code, message=f"{place}: it has no key")
            return
        claim = fenced_claim(key)
        if claim is not None:
            self._take_fence(key, value, claim)
            return
        try:
            self._take_point(key, value, place)
        except RecordUnreadable as error:
            log.warning("position.unreadable", code=error.code, message=str(error))

    def _take_fence(self, key: bytes, value: bytes | None, claim: int) -> None:
        if value is None:
            self.fences.discard(key)
        else:
            self.fences.add(key)
            self.fence = max(self.fence, claim)

    def _take_point(self, key: bytes, value: bytes | None, place: str) -> None:
        if value is None:
            self.by_tenant.pop(key.decode(errors="replace"), None)
            return
        point = decode_position(value, place)
        if point.tenant.encode() != key:
            raise RecordUnreadable(f"{place}: the point of one tenant under the key of another")
        if point.claim < self.fence:
            self.void += 1
        else:
            self.by_tenant[point.tenant] = point
