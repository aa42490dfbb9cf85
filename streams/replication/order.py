"""What a stream is asked to do, within which bounds, and what it says once it streams."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from statemachine.state import ReplicationMode
from streams.catalog.entry import Database, Limits
from streams.replication.broadcaster import Broadcaster
from streams.replication.positions import Positions
from streams.replication.resume import Gap
from streams.tenantdb.session import SessionLimits


class Observer(Protocol):
    """Is told of rows as they pass, on the event loop; must be quick and raise nothing."""

    def delivered(self, committed_latency_ms: float, inserted_latency_ms: float, payload_bytes: int) -> None:
        """A streamed row is acknowledged by Kafka, so many milliseconds after it was committed and inserted."""

    def dropped(self, code: str) -> None:
        """A row did not pass its checks."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Bounds of one stream. Times are in milliseconds.

    Attributes:
        session: bounds of opening and closing a session.
        setup_ms: each command and statement that sets the stream up.
        clear_ms: waiting for the end of a session that is ended.
        blocker_look_ms: between two looks at who keeps a slot from being made.
        backfill_rows: most rows that are read back from the table at a time.
        backfill_bytes: bytes that these may have, by what the rows before had.
        stall_ms: waiting for Kafka to acknowledge anything while rows are read back.
        overlap_ms: how much earlier than the last known moment rows are read back where only their time tells.
        retention_ms: how long rows are kept in the table; an older resume point is not trusted.
        turn_messages: most messages that are handled before other tenants have their turn.
        turn_bytes: most bytes of them.
        status_interval_ms: longest time between two status messages; half of the server's `wal_sender_timeout` where
            that is less.
        confirm_interval_ms: shortest time between two status messages that confirm.
        position_interval_ms: between two resume points while rows are delivered.
        position_idle_interval_ms: between two resume points while none are.
        gap_settle_ms: after a gap was found, before the first resume point: until then the gap is on the log, and if it
            is not, whoever starts next finds it again.
        planned_stop_ms: proving and writing the last resume point at a planned stop.
        watchdog_interval_ms: between two looks at the stream and its slot.
        watchdog_timeout_ms: within which a stream shows that it lives.
    """

    session: SessionLimits = field(default_factory=SessionLimits)
    setup_ms: int = 240_000
    clear_ms: int = 5_000
    blocker_look_ms: int = 1_000
    backfill_rows: int = 1_000
    backfill_bytes: int = 4 * 1024 * 1024
    stall_ms: int = 60_000
    overlap_ms: int = 600_000
    retention_ms: int = 259_200_000
    turn_messages: int = 200
    turn_bytes: int = 1024 * 1024
    status_interval_ms: int = 10_000
    confirm_interval_ms: int = 500
    position_interval_ms: int = 10_000
    position_idle_interval_ms: int = 300_000
    gap_settle_ms: int = 60_000
    planned_stop_ms: int = 2_000
    watchdog_interval_ms: int = 300_000
    watchdog_timeout_ms: int = 60_000


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """One attempt to stream a tenant's rows.

    Attributes:
        tenant: whose.
        claim: under which rows are sent and resume points written.
        database: where they are.
        limits: the tenant's bounds on them.
        mode: whether rows that were written while nobody streamed are made up for.
        borrow: lends a pooled session of the tenant's connection, which holds the tenant's lock.
        broadcaster: takes rows to Kafka.
        positions: keeps resume points.
        streamed_until: last time that rows are known to have been streamed; aware, None for never.
        started_claim: claim of the last start, None where there was none.
        now: the clock; aware.
        observer: is told of rows as they pass.
        promised_since: since when rows are to be delivered, where none ever were; aware, None for from now on. It is by
            the server's clock that they are found.
    """

    tenant: str
    claim: int
    database: Database
    limits: Limits
    mode: ReplicationMode
    borrow: Callable[[], AbstractAsyncContextManager[Any]]
    broadcaster: Broadcaster
    positions: Positions
    streamed_until: datetime | None
    started_claim: int | None
    now: Callable[[], datetime]
    observer: Observer
    promised_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """A stream that runs.

    Attributes:
        slot: name of its temporary slot.
        mode: as ordered.
        resumed_from: LSN of the resume point that was trusted, None where there was none.
        system_identifier: of the server's data.
        timeline: the server is on.
        backfilled: rows that were read back from the table and are acknowledged by Kafka.
        delivers_from_lsn: every row that is committed after this LSN is streamed.
        gap: a loss that cannot be excluded, None where there is none.
    """

    slot: str
    mode: ReplicationMode
    resumed_from: str | None
    system_identifier: str
    timeline: int
    backfilled: int
    delivers_from_lsn: str
    gap: Gap | None
