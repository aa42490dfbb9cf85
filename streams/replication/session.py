"""A replication session: libpq in its asynchronous mode, on the running event loop, without threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg2
from psycopg2 import extensions

from streams.catalog.entry import Database
from streams.replication.connecting import connect, settled
from streams.replication.failure import DRIVER_ERRORS, ReplicationCode, ReplicationFailure, setup_failure
from streams.tenantdb.failure import target
from streams.wire.lsn import lsn_of

STATUS_INTERVAL_OF_DRIVER_S: Final = 365 * 24 * 3600.0
"""The driver would send a status by itself this often; ours go out on a timer of the stream."""

_RAW: Final = extensions.new_type((17,), "RAW", lambda value, _cursor: value)
"""A timeline's history is announced as bytes in PostgreSQL's notation, and comes as plain text."""


@dataclass(frozen=True, slots=True)
class System:
    """Which server this is.

    Attributes:
        identifier: made when the server's data was; physical copies share it.
        timeline: grows with each promotion, and each restore to a point in time.
        flushed: LSN up to which its WAL is on its disk.
    """

    identifier: str
    timeline: int
    flushed: int


@dataclass(frozen=True, slots=True)
class MadeSlot:
    """A slot, and where it begins.

    Attributes:
        name: of the slot.
        consistent_point: every transaction that commits after this LSN is streamed.
        snapshot: has all other transactions; it can be used until the next command of the slot's session.
    """

    name: str
    consistent_point: int
    snapshot: str


class ReplicationSession:
    """One session of the streaming replication protocol.

    Attributes:
        backend_pid: process id of its WAL sender.
        read: takes the next message of the stream from what has arrived, None where no whole one has; raises
            `psycopg2.Error`.

    Source: https://www.postgresql.org/docs/current/protocol-replication.html
    """

    __slots__ = (
        "_connection",
        "_cursor",
        "_database",
        "_setup_ms",
        "_status",
        "_watched",
        "backend_pid",
        "read",
    )

    def __init__(self, connection: Any, database: Database, setup_ms: int) -> None:
        self._connection = connection
        self._database = database
        self._setup_ms = setup_ms
        self._watched: int | None = None
        self._cursor = connection.cursor()
        # Once told of a flush beyond the last message, the driver confirms whatever a keepalive names; where messages
        # of overlapping transactions are under way that confirms too much. So the cursor that reads is told of none.
        self._status = connection.cursor()
        self.backend_pid: int = connection.info.backend_pid
        self.read: Callable[[], Any] = self._cursor.read_message
        extensions.register_type(_RAW, self._cursor)

    @classmethod
    async def open(cls, database: Database, *, application_name: str, connect_ms: int, setup_ms: int) -> Self:
        """Connect; see `connect`.

        Args:
            database: where to; its user must be allowed to replicate.
            application_name: how it shows in `pg_stat_activity`; at most 63 characters.
            connect_ms: longest time for that, in milliseconds.
            setup_ms: longest time for each command until rows are streamed, in milliseconds.

        Raises:
            ReplicationFailure: no address could be reached and logged in to.
        """
        return cls(
            await connect(database, application_name=application_name, connect_ms=connect_ms), database, setup_ms
        )

    async def identify(self) -> System:
        """Ask which server this is.

        Raises:
            ReplicationFailure: there was no answer.
        """
        identifier, timeline, flushed, _database = await self._ask("IDENTIFY_SYSTEM", "Identifying the server")
        return System(identifier, int(timeline), lsn_of(flushed))

    async def setting(self, name: str) -> str:
        """Return a setting of the server, a number in the unit that the server counts it in.

        Raises:
            ReplicationFailure: there was no answer.
        """
        query = f"select setting from pg_catalog.pg_settings where name = '{name}'"  # noqa: S608  a name of PostgreSQL's
        (value,) = await self._ask(query, f"Asking for {name}")
        return str(value)

    async def timeline_history(self, timeline: int) -> str:
        """Return the file that says where the timelines before this one ended; empty for the first, which has none.

        Raises:
            ReplicationFailure: there was no answer.
        """
        if timeline == 1:
            return ""
        _name, text = await self._ask(f"TIMELINE_HISTORY {timeline}", "Asking for the timeline's history")
        return str(text)

    async def make_slot(self, name: str) -> MadeSlot:
        """Make a slot that ends with this session; waits for the end of every transaction that has written something.

        Raises:
            ReplicationFailure: it could not be made, or not in time.
        """
        command = f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput (SNAPSHOT 'export')"
        made, consistent_point, snapshot, _plugin = await self._ask(command, f"Making the slot {name}")
        return MadeSlot(made, lsn_of(consistent_point), snapshot)

    async def start(self, slot: str, publication: str) -> None:
        """Begin to stream.

        Raises:
            ReplicationFailure: the server refused, or did not answer in time.
        """
        command = (
            f"START_REPLICATION SLOT {slot} LOGICAL 0/0 "
            f"(proto_version '2', publication_names '{publication}', binary 'true', messages 'false')"
        )
        with self._translated("Starting the stream"):
            self._cursor.start_replication_expert(command, decode=False, status_interval=STATUS_INTERVAL_OF_DRIVER_S)
            await self._settled()

    @property
    def server_lsn(self) -> int:
        """LSN up to which the server has looked for something to send, once `read` has found nothing more."""
        return int(self._cursor.wal_end)

    def watch(self, readable: Callable[[], None]) -> None:
        """Call `readable` in every turn of the loop in which something has arrived."""
        self._watched = self._connection.fileno()
        asyncio.get_running_loop().add_reader(self._watched, readable)

    def unwatch(self) -> None:
        """Leave what arrives where it is: once its buffers are full, the server waits."""
        descriptor, self._watched = self._watched, None
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)

    def send_status(self, received: int, confirmed: int, *, reply: bool = False) -> None:
        """Tell the server how far we are, which also tells it that we live.

        Args:
            received: LSN up to which everything was read.
            confirmed: LSN up to which nothing is needed again.
            reply: whether the server shall answer at once.

        Raises:
            psycopg2.Error: the session is broken.
        """
        self._status.send_feedback(
            write_lsn=received, flush_lsn=confirmed, apply_lsn=confirmed, reply=reply, force=True
        )

    def close(self) -> None:
        """Close the socket; the server ends the session, and its slot with it. Raises nothing."""
        self.unwatch()
        with suppress(psycopg2.Error):
            self._connection.close()

    async def _ask(self, command: str, attempt: str) -> tuple[Any, ...]:
        """Send a command that is answered with one row."""
        with self._translated(attempt):
            self._cursor.execute(command)
            await self._settled()
            row: tuple[Any, ...] | None = self._cursor.fetchone()
        if row is None:
            message = f"{attempt} gave no answer on {target(self._database)}."
            raise ReplicationFailure(ReplicationCode.START_FAILED, message)
        return row

    async def _settled(self) -> None:
        await settled(self._connection, asyncio.get_running_loop().time() + self._setup_ms / 1000)

    @contextmanager
    def _translated(self, attempt: str) -> Iterator[None]:
        try:
            yield
        except DRIVER_ERRORS as error:
            raise setup_failure(error, self._database, attempt) from error
