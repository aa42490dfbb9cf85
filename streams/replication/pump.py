"""Reading the stream in turns: never so much that others wait, never more than Kafka takes, and never silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import psycopg2
import structlog

from streams.catalog.entry import Database
from streams.errors import DeliveryFailed, PgoutputUnreadable
from streams.replication.failure import ReplicationCode, ReplicationFailure, connection_down
from streams.replication.intake import Intake
from streams.replication.order import StreamLimits
from streams.replication.outbox import Outbox
from streams.replication.session import ReplicationSession
from streams.tenantdb.failure import target

STATUS_PART: Final = 3
"""Statuses within the server's `wal_sender_timeout`: it asks for one at half of it, and hangs up at its end."""

log = structlog.get_logger(__name__)


class Pump:
    """Moves a started session's messages on, as callbacks of the event loop: a quiet tenant costs nothing.

    Args:
        session: streams already.
        intake: takes the messages.
        outbox: where rows go, and which LSN may be confirmed.
        database: for messages.
        limits: how much is done in a turn, and how often the server is told of it.
        sender_timeout_ms: after so long a silence the server ends the session; 0 for never.
        broke: is told once that nothing more comes.

    Attributes:
        heard: set when something arrives.
        waiting: whether reading waits for Kafka.
    """

    def __init__(
        self,
        session: ReplicationSession,
        intake: Intake,
        outbox: Outbox,
        database: Database,
        limits: StreamLimits,
        *,
        sender_timeout_ms: int,
        broke: Callable[[ReplicationFailure], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.heard = asyncio.Event()
        self.waiting = False
        self._session = session
        self._intake = intake
        self._outbox = outbox
        self._database = database
        self._limits = limits
        self._broke = broke
        self._status_interval_s = _status_interval_s(limits.status_interval_ms, sender_timeout_ms)
        self._confirmed = outbox.acknowledged_lsn
        self._read_up_to = outbox.acknowledged_lsn
        self._again: asyncio.Handle | None = None
        self._status: asyncio.TimerHandle | None = None
        self._confirmation: asyncio.TimerHandle | None = None
        self._room: asyncio.Task[None] | None = None
        self._running = False

    def start(self) -> None:
        """Begin to read and to tell."""
        self._running = True
        self._session.watch(self._readable)
        self.tell()
        self._turn()

    def stop(self) -> None:
        """Do nothing more."""
        self._running = False
        self._session.unwatch()
        for handle in (self._again, self._status, self._confirmation, self._room):
            if handle is not None:
                handle.cancel()

    def tell(self, *, reply: bool = False) -> None:
        """Send a status now, and the next one after the interval, whatever becomes of rows; see `send_status`."""
        if not self._running:
            return
        if self._status is not None:
            self._status.cancel()
        self._status = self._loop.call_later(self._status_interval_s, self._tick)
        self._confirmed = self._outbox.acknowledged_lsn
        self._read_up_to = max(self._read_up_to, self._confirmed)
        try:
            self._session.send_status(self._read_up_to, self._confirmed, reply=reply)
        except psycopg2.Error as error:
            self._end(connection_down(error, self._database))

    def moved(self) -> None:
        """More is acknowledged: tell the server soon."""
        if self._confirmation is None and self._running and self._outbox.acknowledged_lsn > self._confirmed:
            interval_s = self._limits.confirm_interval_ms / 1000
            self._confirmation = self._loop.call_later(interval_s, self._confirm)

    def _tick(self) -> None:
        self.tell()
        if self._running and not self.waiting:
            # Of what the TLS library has decrypted the socket says nothing, and libpq may have left a few bytes there.
            self._turn()

    def _confirm(self) -> None:
        self._confirmation = None
        self.tell()

    def _readable(self) -> None:
        self.heard.set()
        self._turn()

    def _turn(self) -> None:
        """Handle what has arrived, up to the bounds of a turn; what is left after that gets a turn of its own."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        try:
            more = self._handle()
        except psycopg2.Error as error:
            self._end(connection_down(error, self._database))
        except (PgoutputUnreadable, DeliveryFailed) as error:
            message = f"The stream from {target(self._database)} was ended: {error}"
            self._end(ReplicationFailure(ReplicationCode.CONNECTION_DOWN, message))
        except Exception:
            # The event loop would write it down and go on, and nobody would know that nothing is read any more.
            log.exception("replication.reading_failed", database=self._database.name)
            message = f"The stream from {target(self._database)} was ended by an error of the service; see its log."
            self._end(ReplicationFailure(ReplicationCode.CONNECTION_DOWN, message))
        else:
            if more and self._running and not self.waiting:
                self._again = self._loop.call_soon(self._turn)

    def _handle(self) -> bool:
        """Tell whether there may be more."""
        read, take, outbox = self._session.read, self._intake.take, self._outbox
        room = self._limits.turn_bytes
        for _ in range(self._limits.turn_messages):
            if outbox.full:
                self._wait_for_room()
                return False
            message = read()
            if message is None:
                self._drained()
                return False
            payload = message.payload
            take(payload)
            room -= len(payload)
            if room <= 0:
                break
        return True

    def _drained(self) -> None:
        """Everything that the server has sent is read: there is nothing before the LSN that it has come to."""
        if not self._intake.in_transaction:
            self._read_up_to = max(self._read_up_to, self._session.server_lsn)
            self._outbox.seal(self._read_up_to)
            self.moved()

    def _wait_for_room(self) -> None:
        if self._room is None:
            self.waiting = True
            self._session.unwatch()
            self._room = self._loop.create_task(self._resume())

    async def _resume(self) -> None:
        try:
            await self._outbox.room()
            self._session.watch(self._readable)
        except DeliveryFailed:
            return  # whoever watches the outbox is told, too
        except (psycopg2.Error, ValueError, OSError) as error:  # the socket was closed meanwhile
            self._end(connection_down(error, self._database))
            return
        self._room = None
        self.waiting = False
        self._turn()

    def _end(self, failure: ReplicationFailure) -> None:
        if self._running:
            self.stop()
            self._broke(failure)


def _status_interval_s(wanted_ms: int, sender_timeout_ms: int) -> float:
    shortest = min(wanted_ms, sender_timeout_ms // STATUS_PART) if sender_timeout_ms else wanted_ms
    return shortest / 1000
