"""What a round leaves behind: what clients saw, what the topics hold, what the databases showed, what was logged."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Raw(NamedTuple):
    """A record as Kafka has it; the value is looked into by the checker alone."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Call:
    """One command of one client.

    Attributes:
        id: the command's id.
        tenant: whose.
        type: what was asked.
        began: when it was sent, seconds since 1970.
        ended: when the client had its outcome, None while it waits.
        reply: the reply, as plain JSON values.
        error: what the client was told in place of a reply.
    """

    id: str
    tenant: str
    type: str
    began: float
    ended: float | None = None
    reply: dict[str, Any] | None = None
    error: str | None = None

    @property
    def ok(self) -> bool:
        """Whether it was acknowledged."""
        return self.reply is not None and self.reply["outcome"] == "ok"


class Life(NamedTuple):
    """One process of a worker, as long as it went on, or stood still.

    Attributes:
        pid: its process id.
        frozen: whether it stood still.
        first: when it was seen so first, seconds since 1970.
        last: when it was seen so last.
    """

    pid: int
    frozen: bool
    first: float
    last: float


class Ending(NamedTuple):
    """A process of a worker that ended by itself, or was asked to.

    Attributes:
        worker: whose.
        at: when that was seen, seconds since 1970.
        code: the exit code; None where it was asked to end and did not in its time.
        asked: whether it was asked to.
        died: whether it was told to die at a point of its work, and did.
        said: the code of the error that it named, None where it named none.
    """

    worker: str
    at: float
    code: int | None
    asked: bool = False
    died: bool = False
    said: str | None = None


class Hit(NamedTuple):
    """A time in which a worker was harmed, or what it stands on.

    Attributes:
        worker: its name; None where all of them were.
        began: when, seconds since 1970.
        ended: when that was over.
    """

    worker: str | None
    began: float
    ended: float


class Session(NamedTuple):
    """A session of a worker with a tenant's database.

    Attributes:
        pid: process id of its backend.
        claim: the claim in its name.
        holder: whether it holds the tenant's lock.
    """

    pid: int
    claim: int
    holder: bool


class Sight(NamedTuple):
    """The sessions of one tenant, unchanged over several looks.

    Attributes:
        first: when they were seen so first, seconds since 1970.
        last: when they were seen so last.
        sessions: all of them.
    """

    first: float
    last: float
    sessions: frozenset[Session]


@dataclass(slots=True)
class Row:
    """A broadcast as a client was given it."""

    id: str
    claim: int
    lsn: str
    ordinal: int


class Placed(NamedTuple):
    """Where and when a row was committed.

    Attributes:
        lsn: where the server's WAL ended right before.
        began: when its transaction began, seconds since 1970.
        ended: when its writer knew that it was committed.
    """

    lsn: str
    began: float
    ended: float


class Migrated(NamedTuple):
    """What migrations left in a database.

    Attributes:
        versions: those that are recorded, ascending.
        made: every command that took effect, and what it made.
        free: whether nobody holds the lock of those who migrate.
    """

    versions: tuple[int, ...]
    made: tuple[str, ...]
    free: bool


@dataclass(slots=True)
class Evidence:
    """Everything that is judged.

    Attributes:
        events: the events topic, in order within each partition.
        topics: every other topic, by its contract's name.
        calls: what the clients asked and were told.
        watched: partition and offset of what a client was shown as counting; None where nobody watched.
        watched_until: where the log ended when it had time left to show the rest: offset behind the last record, by
            partition.
        committed: ids of rows that are committed for certain, by durable tenant.
        placed: where and when each of them was committed, by tenant and id.
        unknown: ids of rows whose writer was not told.
        delivered: what a client was given of each tenant's broadcasts, in its order.
        sights: sessions over time, by tenant.
        sleepers: tenants that are paused until a moment, and that nobody touches otherwise.
        steady: tenants that nobody asked to stop, and whose database nothing happened to.
        database_faults: when databases were disturbed, as (began, ended): sessions may change then.
        upsets: when anything but processes of workers was harmed, as (began, ended).
        lives: the processes of each worker, in order.
        endings: how those ended that were not killed from outside, in order for each worker.
        hits: when workers were harmed, each by itself or all together, in order.
        secrets: what must not stand anywhere, each with a name that may be shown.
        logs: what workers wrote, by name.
        sessions_left: tenants that have sessions though all workers have stopped.
        clocks_jumped: clocks of workers went wrong on purpose.
        held: looks at slots that held more WAL than the server lets them: when, which, bytes.
        migrated: what migrations left, by tenant.
        interrupted: whether a tenant was being migrated when its worker was killed.
        unmet: kinds of faults that were meant for an owner and met none.
        audit: what the service's own audit found, None where it was not asked.
    """

    events: list[Raw] = field(default_factory=list)
    topics: dict[str, list[Raw]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    watched: set[tuple[int, int]] | None = None
    watched_until: dict[int, int] = field(default_factory=dict)
    committed: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    placed: dict[str, dict[str, Placed]] = field(default_factory=lambda: defaultdict(dict))
    unknown: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    delivered: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))
    sights: dict[str, list[Sight]] = field(default_factory=lambda: defaultdict(list))
    sleepers: set[str] = field(default_factory=set)
    steady: set[str] = field(default_factory=set)
    database_faults: list[tuple[float, float]] = field(default_factory=list)
    upsets: list[tuple[float, float]] = field(default_factory=list)
    lives: dict[str, list[Life]] = field(default_factory=lambda: defaultdict(list))
    endings: list[Ending] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    secrets: dict[str, bytes] = field(default_factory=dict)
    logs: dict[str, bytes] = field(default_factory=dict)
    sessions_left: set[str] = field(default_factory=set)
    clocks_jumped: bool = False
    held: list[tuple[float, str, int]] = field(default_factory=list)
    migrated: dict[str, Migrated] = field(default_factory=dict)
    interrupted: dict[str, bool] = field(default_factory=dict)
    unmet: list[str] = field(default_factory=list)
    audit: list[str] | None = None


class Finding(NamedTuple):
    """Something that must not be.

    Attributes:
        rule: which promise is broken.
        where: tenant, or topic with partition and offset.
        what: what was found.
    """

    rule: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.where}: {self.what}"
