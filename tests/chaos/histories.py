"""A history in which everything is right, made by hand, so that one thing at a time can be made wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

from streams.kafka.partitioner import partition_of
from tests.chaos.evidence import Call, Evidence, Placed, Raw, Row, Session, Sight
from tests.chaos.facts import Facts, after
from tests.chaos.fold import Told

PARTITIONS: Final = 1
TENANT: Final = "t1"
OTHER: Final = "t2"
PASSWORD: Final = b"a-password-of-t1"

NOON: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
NOON_MS: Final = round(NOON.timestamp() * 1000)
"""When the first record was appended: 12:00 on the first of January 2030, UTC."""

BEGAN: Final = NOON_MS / 1000
"""When the history begins, in seconds since 1970."""


COMMANDS: Final = {
    "connect.paused": "pause",
    "connect.resumed": "resume",
    "connect.requested": "connect",
    "connect.stopping": "shutdown",
}
"""Which command an event is of, where it is of one."""


class Written:
    """A log while it is written.

    Attributes:
        evidence: what it becomes part of.
    """

    def __init__(self) -> None:
        self.evidence = Evidence()
        self._facts: defaultdict[str, Facts] = defaultdict(Facts)
        self._hashes: dict[str, str] = {}

    def claim(self, generation: int, term: int = 0, worker: str = "w1") -> int:
        """Append a claim; gives its offset."""
        data = {"worker": worker, "generation": generation, "term": term}
        return self._append(None, {"type": "connect.claimed", "data": data})

    def event(self, tenant: str, claim: int, cause: str, type_: str = "connect.paused", **data: Any) -> int:
        """Append an event that follows from what counts of its tenant; gives its offset.

        A command that leads to it is sent before, unless it was.
        """
        sequence = self._facts[tenant].sequence + 1
        body = self._body(tenant, claim, cause, type_, sequence, data)
        if ":" not in cause:
            body |= {"originpartition": 0, "originoffset": self.send(tenant, COMMANDS[type_], cause)}
        offset = self._append(tenant, body)
        self._hashes[tenant] = json.loads(self.evidence.events[-1].value or b"")["hash"]
        told = Told(0, offset, type_, tenant, sequence, claim, cause, NOON, data, None, 0)
        self._facts[tenant] = after(self._facts[tenant], told)
        return offset

    def send(self, tenant: str, type_: str, id_: str, **data: Any) -> int:
        """Send a command, unless one with its id was; gives the offset of the first."""
        records = self.evidence.topics.setdefault("commands", [])
        for record in records:
            if json.loads(record.value or b"")["id"] == id_:
                return record.offset
        self.put("commands", tenant, {"id": id_, "type": type_, "reply_to": {}, "data": data})
        return len(records) - 1

    def stray(self, tenant: str, claim: int, cause: str) -> int:
        """Append an event that does not count: nothing follows from it."""
        sequence = self._facts[tenant].sequence + 1
        self.send(tenant, "pause", cause)
        return self._append(tenant, self._body(tenant, claim, cause, "connect.paused", sequence, {}))

    def call(
        self,
        tenant: str,
        type_: str,
        claim: int,
        position: int,
        *,
        event: int | None = None,
        at: float = 0.0,
        code: str | None = None,
        **data: Any,
    ) -> Call:
        """A call that was acknowledged, or refused with ``code``; its id is that of its event's cause."""
        place = {"topic": "events", "partition": 0}
        id_ = f"{type_}-{len(self.evidence.calls)}"
        if event is not None:
            id_ = json.loads(self.evidence.events[event].value or b"")["causationid"]
        self.send(tenant, type_, id_, **data)
        call = Call(id_, tenant, type_, BEGAN + at, BEGAN + at + 0.1)
        call.reply = {
            "command": id_,
            "tenant": tenant,
            "outcome": "ok" if code is None else "error",
            "error": None if code is None else {"code": code},
            "status": self._status(tenant, claim),
            "event": None if event is None else {**place, "offset": event},
            "position": {**place, "offset": position},
            "claim": claim,
            "at": NOON.isoformat(),
        }
        self.evidence.calls.append(call)
        self.put("replies", id_, call.reply)
        return call

    def _status(self, tenant: str, claim: int) -> dict[str, Any]:
        """What the owner says of a tenant now."""
        facts = self._facts[tenant]
        told = ("sequence", "lifecycle", "reason", "database", "replication", "occupancy", "migrations")
        status = {name: value for name, value in facts._asdict().items() if name in told}
        deadlines = {"pause": facts.until.isoformat()} if facts.until else {}
        why = {"code": "paused" if facts.paused else "resting"}
        return {**status, "tenant": tenant, "owner": {"claim": claim}, "deadlines": deadlines, "why": why}

    def connected(self, tenant: str, claim: int, cause: str = "effect:users", mode: str = "durable") -> int:
        """Connect a tenant, and stream its rows unless they are not to be; gives the last event's offset."""
        self.event(tenant, claim, cause, "connect.requested")
        self.event(tenant, claim, "effect:check", "connect.checked", replication=mode, migrations_on_database=0)
        last = self.event(tenant, claim, "effect:provision", "connect.provisioned", migrations_run=2)
        return last if mode == "off" else self.event(tenant, claim, "effect:stream", "replication.started")

    def put(self, topic: str, key: str, body: dict[str, Any]) -> None:
        """Append to another topic."""
        records = self.evidence.topics.setdefault(topic, [])
        # After every event there is, and before the next one.
        sent_ms = NOON_MS + 1_000 * len(self.evidence.events) - 500
        records.append(Raw(0, len(records), sent_ms, key.encode(), json.dumps(body).encode()))

    def row(self, tenant: str, id_: str, claim: int, lsn: str) -> None:
        """A row that was committed, streamed, and heard."""
        self.evidence.committed[tenant].add(id_)
        self.put("broadcasts", tenant, {"tenant": tenant, "id": id_, "claim": claim, "lsn": lsn, "ordinal": 0})
        self.evidence.delivered[tenant].append(Row(id_, claim, lsn, 0))

    def lost(self, tenant: str, id_: str, lsn: str, at: float) -> None:
        """A row that was committed and never heard."""
        self.evidence.committed[tenant].add(id_)
        self.evidence.placed[tenant][id_] = Placed(lsn, BEGAN + at, BEGAN + at + 0.1)

    def sight(self, tenant: str, first: float, last: float, *sessions: Session) -> None:
        """What the server showed for a while."""
        self.evidence.sights[tenant].append(Sight(BEGAN + first, BEGAN + last, frozenset(sessions)))

    def _body(
        self, tenant: str, claim: int, cause: str, type_: str, sequence: int, data: dict[str, Any]
    ) -> dict[str, Any]:
        body = {
            "type": type_,
            "time": (NOON + timedelta(seconds=len(self.evidence.events))).isoformat(),
            "data": data,
            "subject": tenant,
            "sequence": sequence,
            "claim": claim,
            "causationid": cause,
        }
        before = self._hashes.get(tenant)
        return body if before is None else {**body, "previoushash": before}

    def _append(self, key: str | None, body: dict[str, Any]) -> int:
        records = self.evidence.events
        records.append(
            Raw(0, len(records), NOON_MS + 1_000 * len(records), key.encode() if key else None, sealed(body))
        )
        return len(records) - 1


def sealed(body: dict[str, Any]) -> bytes:
    """A record's bytes with their hash as the last member."""
    text = json.dumps(body, separators=(",", ":")).encode()
    return text[:-1] + b',"hash":"' + blake2b(text, digest_size=16).hexdigest().encode() + b'"}'


def right() -> Written:
    """Two owners one after the other, a frozen one among them, two tenants, calls, rows and sessions: all is right."""
    assert partition_of(TENANT, PARTITIONS) == partition_of(OTHER, PARTITIONS) == 0
    written = Written()
    first = written.claim(1)
    asked = written.event(TENANT, first, "c1", until="2030-01-01T12:00:02+00:00")
    written.call(TENANT, "pause", first, asked, event=asked, at=1.0)
    lifted = written.event(TENANT, first, "timer:pause", "connect.resumed")
    written.call(TENANT, "status", first, lifted, at=2.0)
    second = written.claim(2, worker="w2")
    written.stray(TENANT, first, "c2")
    late = written.claim(1)
    assert late > second
    again = written.event(TENANT, second, "c2")
    written.call(TENANT, "pause", second, again, event=again, at=3.0)
    other = written.event(OTHER, second, "c3")
    written.call(OTHER, "pause", second, other, event=other, at=4.0)
    written.row(TENANT, "a", first, "0/10")
    written.row(TENANT, "b", second, "0/0F")
    older, newer = Session(10, first, holder=True), Session(20, second, holder=True)
    written.sight(TENANT, 0.0, 3.0, older)
    written.sight(TENANT, 3.0, 3.2, older._replace(holder=False), newer)
    written.sight(TENANT, 3.2, 9.0, newer)
    written.evidence.steady.add(TENANT)
    written.evidence.secrets["the password"] = PASSWORD
    written.evidence.logs["w1"] = b'{"event": "worker.ready"}'
    written.evidence.watched = {(0, offset) for offset in (first, asked, lifted, second, again, other)}
    written.evidence.watched_until = {0: len(written.evidence.events)}
    written.evidence.audit = []
    return written
