"""Callers who wait for their tenant: kept until its state answers them or their own time is up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import NamedTuple

from statemachine.answers import Answer, answer
from statemachine.commands import Connect
from statemachine.limits import CONNECT_TIMEOUT_MS
from statemachine.rejections import Rejection
from statemachine.state import TenantState
from streams.wire.command import Request
from streams.wire.reply import Position


class Waiter:
    """One caller.

    Attributes:
        request: what it asked.
        event: where the event is that its command led to, once that is known.
        timer: ends its patience.
    """

    __slots__ = ("event", "request", "timer")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.event: Position | None = None
        self.timer: asyncio.TimerHandle | None = None


class Answered(NamedTuple):
    """A caller whose wait is over."""

    waiter: Waiter
    answer: Answer | Rejection


class Waiters:
    """The callers of one partition's tenants.

    Args:
        per_tenant_max: callers kept per tenant; one more is answered at once.
        expired: called when a caller's time is up, with its waiter; it is no longer kept then.
    """

    def __init__(self, per_tenant_max: int, expired: Callable[[Waiter], None]) -> None:
        self._per_tenant_max = per_tenant_max
        self._expired = expired
        self._waiting: dict[str, dict[str, Waiter]] = {}

    def add(self, request: Request) -> Waiter | None:
        """Keep a caller; one who asks again under the same id keeps its place and its time. None for no room."""
        waiting = self._waiting.setdefault(request.tenant, {})
        if request.id not in waiting and len(waiting) >= self._per_tenant_max:
            return None
        kept = waiting.get(request.id)
        if kept is not None:
            kept.request = request
            return kept
        waiter = waiting[request.id] = Waiter(request)
        waiter.timer = asyncio.get_running_loop().call_later(_patience_s(request), self._expire, waiter)
        return waiter

    def answered(self, state: TenantState) -> Iterator[Answered]:
        """The callers of the tenant whom ``state`` answers; they are no longer kept."""
        waiting = self._waiting.get(state.tenant)
        if not waiting:
            return
        for waiter in list(waiting.values()):
            reply = answer(state, waiter.request.command)
            if reply is not Answer.PENDING:
                self._remove(waiter)
                yield Answered(waiter, reply)

    def clear(self) -> None:
        """Forget everybody: a later owner answers them when they ask again."""
        for waiting in self._waiting.values():
            for waiter in waiting.values():
                _disarm(waiter)
        self._waiting.clear()

    def _expire(self, waiter: Waiter) -> None:
        self._remove(waiter)
        self._expired(waiter)

    def _remove(self, waiter: Waiter) -> None:
        _disarm(waiter)
        waiting = self._waiting.get(waiter.request.tenant)
        if waiting is not None and waiting.get(waiter.request.id) is waiter:
            del waiting[waiter.request.id]
            if not waiting:
                del self._waiting[waiter.request.tenant]


def _disarm(waiter: Waiter) -> None:
    if waiter.timer is not None:
        waiter.timer.cancel()


def _patience_s(request: Request) -> float:
    command = request.command
    timeout_ms = command.timeout_ms if isinstance(command, Connect) else CONNECT_TIMEOUT_MS
    return timeout_ms / 1000
