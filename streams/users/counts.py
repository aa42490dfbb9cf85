"""Who uses the tenants of a partition, worked out from the reports of gateways and nothing else.

A report says how many users a gateway has from the moment of the report on, until the gateway's next report, or
until its time to live is over. So each gateway has a number of users at every moment, a tenant's users are the sum,
and *empty since* is the beginning of the stretch without users that reaches until now: a zero report, or the end of
the last time to live. That moment depends on the reports only. Whoever reads them later, from an earlier record on,
finds the same one, so a change of owner moves no deadline.

Moments are timestamps of the records, in milliseconds since 1970, and so the clocks of the gateways:

- A report is overtaken when the same gateway has a later one on the topic before it; it is left out. Of two with
  the same timestamp the one that stands later counts.
- A clock that is ahead by `CLOCK_AHEAD_MS_MAX` at most is believed: its zero report takes effect when that moment
  comes. One that is further ahead is taken for so much ahead of the reader, which lets its reports hold on for
  no longer than that; only then two readers may differ, by no more than the clock is wrong.
- Reports from a clock that is behind hold for a shorter time, by as much as it is behind.

The moment is exact where the topic still has the last report with users: records are kept for `KEPT_MS`, so a
report that held for ``ttl_ms`` is told apart from silence for ``KEPT_MS - ttl_ms`` after it ended.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final

import msgspec

from streams.wire.users import TIME_TO_LIVE_MS_MAX, ReadReport

KEPT_MS: Final = TIME_TO_LIVE_MS_MAX
"""How long reports count for anything, in milliseconds: as long as the topic keeps them."""

CLOCK_AHEAD_MS_MAX: Final = 10_000
"""How far a gateway's clock may be ahead of the reader's and still be believed, in milliseconds."""

GATEWAYS_PER_TENANT_MAX: Final = 1_000
"""Gateways of one tenant that count; reports of more are refused until some of the others are silent."""

TENANTS_MAX: Final = 100_000
"""Tenants of one partition that count; reports of more are refused until some of the others are forgotten."""

STALE_ENTRIES_MIN: Final = 1_000
"""Entries of the timetable that are not worth tidying up."""

NEVER: Final = -1


class _Gateway(msgspec.Struct, gc=False):
    """What one gateway says of one tenant.

    Attributes:
        at_ms: when it said something last.
        users: users of its last report that had any.
        until_ms: when these end, or ended: after the time to live, or with the zero report; `NEVER` without users.
    """

    at_ms: int
    users: int
    until_ms: int


class _Tenant(msgspec.Struct):
    """What is known of one tenant.

    Attributes:
        gateways: by name.
        first_ms: the earliest report.
        latest_ms: the latest report.
        departed_ms: the latest end of users on gateways that are not kept any more.
        empty_ms: when the last users end, or ended; `NEVER` without users.
        used: whether anybody used it when that was looked at last.
        due_ms: when it is looked at again.
        full_until_ms: until when there is no room for another gateway, where there was none.
    """

    gateways: dict[str, _Gateway]
    first_ms: int
    latest_ms: int
    departed_ms: int = NEVER
    empty_ms: int = NEVER
    used: bool = False
    due_ms: int = NEVER
    full_until_ms: int = NEVER

    @property
    def next_ms(self) -> int:
        """When something happens by itself: the last users end, or the tenant is forgotten."""
        return self.empty_ms if self.used else max(self.latest_ms, self.empty_ms) + KEPT_MS


class Tally(msgspec.Struct):
    """How many reports there were, and how many were left out, since the worker started.

    Attributes:
        read: records of the topic that were read, those that could not be understood among them.
        unreadable: records that break the contract.
        unparked: of these, those that were not parked as dead letters.
        overtaken: the same gateway had said something later before.
        outdated: older than `KEPT_MS`.
        ended: their users had ended before they were read: the gateway's clock is behind, or they came late.
        refused: one tenant, or one gateway of a tenant, too many.
    """

    read: int = 0
    unreadable: int = 0
    unparked: int = 0
    overtaken: int = 0
    outdated: int = 0
    ended: int = 0
    refused: int = 0


class Counts:
    """The users of the tenants of one partition.

    Reports have to come in the order of their offsets. Moments of calls must not go back.

    Attributes:
        used: the tenants that somebody uses, as of the last `apply` and `expire`. Not to be changed.

    Args:
        tally: where reports that are left out are counted.
    """

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tenants: dict[str, _Tenant] = {}
        # When each tenant is looked at next. An entry that is not its tenant's ``due_ms`` any more is passed over.
        self._timetable: list[tuple[int, str]] = []
        self.used: set[str] = set()

    def __len__(self) -> int:
        return len(self._tenants)

    def apply(self, name: str, report: ReadReport, at_ms: int, now_ms: int) -> bool:
        """Take a report in, and say whether the tenant became used or unused by it.

        Args:
            name: the tenant.
            report: what the gateway said.
            at_ms: the record's timestamp.
            now_ms: the reader's clock.
        """
        at_ms = min(at_ms, now_ms + CLOCK_AHEAD_MS_MAX)
        if at_ms + KEPT_MS <= now_ms:
            self._tally.outdated += 1
            return False
        tenant = self._tenants.get(name)
        if tenant is None:
            if len(self._tenants) >= TENANTS_MAX:
                self._tally.refused += 1
                return False
            tenant = self._tenants[name] = _Tenant({}, at_ms, at_ms)
        gateway = tenant.gateways.get(report.gateway)
        if gateway is None:
            if len(tenant.gateways) >= GATEWAYS_PER_TENANT_MAX and not _make_room(tenant, now_ms):
                self._tally.refused += 1
                return False
            gateway = tenant.gateways[report.gateway] = _Gateway(at_ms, 0, NEVER)
        elif at_ms < gateway.at_ms:
            self._tally.overtaken += 1
            return False
        _take_in(tenant, gateway, report, at_ms)
        return self._reconsider(name, tenant, now_ms)

    def expire(self, now_ms: int) -> set[str]:
        """Let time pass: the tenants that became unused by it. What can no longer matter is forgotten."""
        emptied: set[str] = set()
        timetable = self._timetable
        while timetable and timetable[0][0] <= now_ms:
            due_ms, name = heappop(timetable)
            tenant = self._tenants.get(name)
            if tenant is None or tenant.due_ms != due_ms:
                continue
            tenant.due_ms = NEVER
            if max(tenant.latest_ms, tenant.empty_ms) + KEPT_MS <= now_ms:
                del self._tenants[name]
                if tenant.used:
                    self.used.discard(name)
                    emptied.add(name)
                continue
            _forget(tenant, now_ms)
            if self._reconsider(name, tenant, now_ms):
                emptied.add(name)
        return emptied

    def users(self, name: str, now_ms: int) -> int:
        """Users of a tenant now."""
        tenant = self._tenants.get(name)
        if tenant is None or tenant.empty_ms <= now_ms:
            return 0
        return sum(gateway.users for gateway in tenant.gateways.values() if gateway.until_ms > now_ms)

    def empty_since(self, name: str, now_ms: int) -> int | None:
        """Since when nobody uses a tenant; None while somebody does, and where nothing was reported."""
        tenant = self._tenants.get(name)
        if tenant is None or tenant.empty_ms > now_ms:
            return None
        return min(tenant.first_ms, now_ms) if tenant.empty_ms == NEVER else tenant.empty_ms

    def reported(self, name: str) -> bool:
        """Whether anything is known of a tenant."""
        return name in self._tenants

    def _reconsider(self, name: str, tenant: _Tenant, now_ms: int) -> bool:
        """Note whether the tenant is used now and when to look again; says whether the first is new."""
        used = tenant.empty_ms > now_ms
        turned = used is not tenant.used
        if turned:
            tenant.used = used
            (self.used.add if used else self.used.discard)(name)
        next_ms = tenant.next_ms
        # An entry that is due too early is moved when its time has come: reports that extend are by far the most.
        if tenant.due_ms == NEVER or next_ms < tenant.due_ms:
            tenant.due_ms = next_ms
            heappush(self._timetable, (next_ms, name))
            self._tidy()
        return turned

    def _tidy(self) -> None:
        if len(self._timetable) > 2 * len(self._tenants) + STALE_ENTRIES_MIN:
            self._timetable = [(tenant.due_ms, name) for name, tenant in self._tenants.items()]
            heapify(self._timetable)


def _take_in(tenant: _Tenant, gateway: _Gateway, report: ReadReport, at_ms: int) -> None:
    """Carry on a gateway's users, and with them those of its tenant."""
    ended_ms = gateway.until_ms
    gateway.at_ms = at_ms
    if report.users > 0:
        gateway.users = report.users
        gateway.until_ms = at_ms + report.ttl_ms
    elif ended_ms > at_ms:
        gateway.until_ms = tenant.full_until_ms = at_ms
    tenant.first_ms = min(tenant.first_ms, at_ms)
    tenant.latest_ms = max(tenant.latest_ms, at_ms)
    if gateway.until_ms >= tenant.empty_ms:
        tenant.empty_ms = gateway.until_ms
    elif ended_ms == tenant.empty_ms:
        tenant.empty_ms = _empty_ms(tenant)


def _empty_ms(tenant: _Tenant) -> int:
    return max(tenant.departed_ms, *(gateway.until_ms for gateway in tenant.gateways.values()))


def _forget(tenant: _Tenant, now_ms: int) -> None:
    """Forget gateways so old that a report of theirs from before would be too old itself."""
    silent = [name for name, gateway in tenant.gateways.items() if gateway.at_ms + KEPT_MS <= now_ms]
    _depart(tenant, [name for name in silent if tenant.gateways[name].until_ms <= now_ms])


def _make_room(tenant: _Tenant, now_ms: int) -> bool:
    """Forget every gateway without users; says whether there was one."""
    if now_ms < tenant.full_until_ms:
        return False
    ended = [name for name, gateway in tenant.gateways.items() if gateway.until_ms <= now_ms]
    _depart(tenant, ended)
    tenant.full_until_ms = min((gateway.until_ms for gateway in tenant.gateways.values()), default=NEVER)
    return bool(ended)


def _depart(tenant: _Tenant, gateways: list[str]) -> None:
    for name in gateways:
        tenant.departed_ms = max(tenant.departed_ms, tenant.gateways.pop(name).until_ms)
