"""Deadlines: each is in the state, and so on the log; the owner wakes when the next one is due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from statemachine.commands import Deadline
from statemachine.deadlines import deadlines
from statemachine.state import TenantState


class Timers:
    """Wakes for the deadlines of one partition's tenants.

    Args:
        now: the clock.
        reached: called with tenant and deadline when one is due.
    """

    def __init__(self, now: Callable[[], datetime], reached: Callable[[str, Deadline], None]) -> None:
        self._now = now
        self._reached = reached
        self._tenants: set[str] = set()
        self._armed: dict[tuple[str, Deadline], tuple[datetime, asyncio.TimerHandle]] = {}

    def arm(self, state: TenantState) -> None:
        """Wake for the deadlines that ``state`` has, and for none that it has no more."""
        due = deadlines(state)
        if not due and state.tenant not in self._tenants:
            return
        for deadline in Deadline:
            self._set(state.tenant, deadline, due.get(deadline))
        if due:
            self._tenants.add(state.tenant)
        else:
            self._tenants.discard(state.tenant)

    def clear(self) -> None:
        """Wake for nothing any more."""
        for _, handle in self._armed.values():
            handle.cancel()
        self._armed.clear()
        self._tenants.clear()

    def _set(self, tenant: str, deadline: Deadline, due: datetime | None) -> None:
        armed = self._armed.get((tenant, deadline))
        if armed is not None:
            if armed[0] == due:
                return
            armed[1].cancel()
            del self._armed[tenant, deadline]
        if due is not None:
            delay_s = max(0.0, (due - self._now()).total_seconds())
            handle = asyncio.get_running_loop().call_later(delay_s, self._wake, tenant, deadline, due)
            self._armed[tenant, deadline] = (due, handle)

    def _wake(self, tenant: str, deadline: Deadline, due: datetime) -> None:
        self._armed.pop((tenant, deadline), None)
        if self._now() >= due:
            self._reached(tenant, deadline)
            return
        handle = asyncio.get_running_loop().call_later(
            max(0.0, (due - self._now()).total_seconds()), self._wake, tenant, deadline, due
        )
        self._armed[tenant, deadline] = (due, handle)
