"""The client for programs without an event loop: the same methods, each returning when it is done.

::

    with BlockingConnectClient(settings) as client:
        status = client.connect("t1")
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Coroutine, Generator
from datetime import datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from statemachine.commands import Command
from statemachine.limits import CONNECT_TIMEOUT_MS
from streams.client.client import ConnectClient
from streams.history import HistoryEntry, Start
from streams.settings import Settings
from streams.wire.broadcast import Broadcast
from streams.wire.reply import HealthStatus, Reply, TenantStatus
from streams.wire.users import TIME_TO_LIVE_MS

CLOSE_TIMEOUT_S: Final = 5.0
"""How long closing waits for the thread of the loop."""

Result = TypeVar("Result")


class BlockingConnectClient:
    """`ConnectClient` behind a loop in a thread of its own. Use it as ``with``, from any number of threads.

    Arguments, results and errors are those of `ConnectClient`.

    Args:
        settings: where Kafka is, topic prefix and region.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="connect-client", daemon=True)
        self._thread.start()
        self._client = ConnectClient(self._settings)
        try:
            self._run(self._client.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._client.__aexit__(kind, error, trace))
        finally:
            self._stop()

    def connect(
        self, tenant: str, *, wait: str = "ready", timeout_ms: int = CONNECT_TIMEOUT_MS, requested_by: str | None = None
    ) -> TenantStatus:
        """Connect a tenant; its status once it is so."""
        return self._run(self._client.connect(tenant, wait=wait, timeout_ms=timeout_ms, requested_by=requested_by))

    def status(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> TenantStatus:
        """How a tenant is, from its owner."""
        return self._run(self._client.status(tenant, timeout_ms=timeout_ms))

    def shutdown(self, tenant: str, *, reason: str = "requested", timeout_ms: int = CONNECT_TIMEOUT_MS) -> TenantStatus:
        """Give a tenant's connection up."""
        return self._run(self._client.shutdown(tenant, reason=reason, timeout_ms=timeout_ms))

    def reload(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> TenantStatus:
        """Give a tenant's connection up and connect it again."""
        return self._run(self._client.reload(tenant, timeout_ms=timeout_ms))

    def check_health(self, tenant: str, *, timeout_ms: int = CONNECT_TIMEOUT_MS) -> HealthStatus:
        """How healthy a tenant is."""
        return self._run(self._client.check_health(tenant, timeout_ms=timeout_ms))

    def pause(
        self,
        tenant: str,
        *,
        reason: str = "",
        author: str = "",
        until: datetime | None = None,
        timeout_ms: int = CONNECT_TIMEOUT_MS,
    ) -> TenantStatus:
        """Stop a tenant and refuse connects for a while."""
        work = self._client.pause(tenant, reason=reason, author=author, until=until, timeout_ms=timeout_ms)
        return self._run(work)

    def resume(
        self, tenant: str, *, reason: str = "", author: str = "", timeout_ms: int = CONNECT_TIMEOUT_MS
    ) -> TenantStatus:
        """Lift a pause."""
        return self._run(self._client.resume(tenant, reason=reason, author=author, timeout_ms=timeout_ms))

    def retry(
        self, tenant: str, *, reason: str = "", author: str = "", timeout_ms: int = CONNECT_TIMEOUT_MS
    ) -> TenantStatus:
        """End a tenant's waiting period now."""
        return self._run(self._client.retry(tenant, reason=reason, author=author, timeout_ms=timeout_ms))

    def send(self, tenant: str, command: Command, *, timeout_s: float, command_id: str | None = None) -> Reply:
        """Send a command and wait for the reply, be it an error."""
        return self._run(self._client.send(tenant, command, timeout_s=timeout_s, command_id=command_id))

    def watch(self, *tenants: str, start: Start = "now") -> Generator[HistoryEntry, None, None]:
        """Events that count, as they are appended; the iteration waits for the next one."""
        entries = self._client.watch(*tenants, start=start)
        try:
            while (entry := self._run(_following(entries))) is not None:
                yield entry
        finally:
            if not self._loop.is_closed():
                self._run(entries.aclose())

    def broadcasts(self, *tenants: str, start: Start = "now") -> Generator[Broadcast, None, None]:
        """Rows of tenants' databases as they are streamed; the iteration waits for the next one."""
        rows = self._client.broadcasts(*tenants, start=start)
        try:
            while (row := self._run(_following(rows))) is not None:
                yield row
        finally:
            if not self._loop.is_closed():
                self._run(rows.aclose())

    def report_users(self, tenant: str, users: int, *, gateway: str, ttl_ms: int = TIME_TO_LIVE_MS) -> None:
        """Report how many users of a tenant a gateway has now."""
        self._run(self._client.report_users(tenant, users, gateway=gateway, ttl_ms=ttl_ms))

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        running = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return running.result()
        except BaseException:
            # An interrupt ends the caller's wait, not the work: that would go on without anybody.
            running.cancel()
            raise

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CLOSE_TIMEOUT_S)
        if not self._thread.is_alive():
            self._loop.close()


async def _following(items: AsyncGenerator[Result, None]) -> Result | None:
    """The next item, None where none follows: `StopAsyncIteration` does not pass from one thread to another."""
    return await anext(items, None)
