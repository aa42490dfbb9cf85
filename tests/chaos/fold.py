"""The log, folded by nobody's rules but those of the contract: a second opinion, and none of the service's code.

What counts: a claim counts unless its (term, generation) is below that of the claim that counts; an event counts if it
names the claim that counts where it stands.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from tests.chaos.evidence import Finding, Raw

SEAL: Final = b',"hash":"'
SEAL_BYTES: Final = len(SEAL) + 32 + len(b'"}')


class Told(NamedTuple):
    """An event that counts.

    Attributes:
        origin: partition and offset of the command that led to it, on the topic that clients write to.
        sent_ms: when its record was made, milliseconds since 1970.
    """

    partition: int
    offset: int
    type: str
    tenant: str
    sequence: int
    claim: int
    cause: str
    time: datetime
    data: dict[str, Any]
    origin: tuple[int, int] | None
    sent_ms: int


class Claimed(NamedTuple):
    """A claim that counts."""

    offset: int
    rank: tuple[int, int]
    worker: str
    timestamp_ms: int


class Log:
    """The events topic, folded.

    Attributes:
        findings: what is wrong with it.
        events: what counts, by (partition, offset).
        claims: the claims that count, by partition, in order.
        void: places of events that do not count.
        ends: offset behind the last record, by partition.
        of: what counts of each tenant, in order.
        causes: what counts, by what caused it.
    """

    def __init__(self, records: Iterable[Raw]) -> None:
        self.findings: list[Finding] = []
        self.events: dict[tuple[int, int], Told] = {}
        self.claims: defaultdict[int, list[Claimed]] = defaultdict(list)
        self.void: set[tuple[int, int]] = set()
        self.ends: dict[int, int] = {}
        self.of: defaultdict[str, list[Told]] = defaultdict(list)
        self.causes: defaultdict[str, list[Told]] = defaultdict(list)
        self._hashes: dict[str, str] = {}
        for record in records:
            self._record(record)

    @property
    def counting(self) -> set[tuple[int, int]]:
        """Places of everything that counts, claims included."""
        claims = {(partition, claim.offset) for partition, found in self.claims.items() for claim in found}
        return claims | self.events.keys()

    def claim_at(self, partition: int, offset: int) -> int | None:
        """The claim that counts at a place, the record there included."""
        found = [claim.offset for claim in self.claims[partition]]
        place = bisect_right(found, offset)
        return found[place - 1] if place else None

    def known(self, tenant: str, offset: int) -> int:
        """How many events of a tenant count up to an offset."""
        return sum(event.offset <= offset for event in self.of[tenant])

    def _record(self, record: Raw) -> None:
        due = self.ends.get(record.partition, 0)
        self.ends[record.partition] = record.offset + 1
        if record.offset != due:
            self._find("hole", record, f"{due} was due")
        try:
            body = json.loads(record.value or b"")
        except ValueError:
            self._find("unreadable", record, "no JSON")
            return
        if body["type"] == "connect.claimed":
            self._claim(record, body["data"])
        elif (self._counted(record.partition)) != body["claim"]:
            self.void.add((record.partition, record.offset))
        else:
            self._event(record, body)

    def _claim(self, record: Raw, data: dict[str, Any]) -> None:
        rank = (data["term"], data["generation"])
        before = self.claims[record.partition]
        if not before or rank >= before[-1].rank:
            before.append(Claimed(record.offset, rank, data["worker"], record.timestamp_ms))

    def _counted(self, partition: int) -> int | None:
        claims = self.claims[partition]
        return claims[-1].offset if claims else None

    def _event(self, record: Raw, body: dict[str, Any]) -> None:
        tenant = body["subject"]
        event = Told(
            record.partition,
            record.offset,
            body["type"],
            tenant,
            body["sequence"],
            body["claim"],
            body["causationid"],
            datetime.fromisoformat(body["time"]),
            body["data"],
            (body["originpartition"], body["originoffset"]) if "originoffset" in body else None,
            record.timestamp_ms,
        )
        for rule, what in self._wrong(record, body, event):
            self._find(rule, record, what)
        self._hashes[tenant] = body["hash"]
        self.events[record.partition, record.offset] = event
        self.of[tenant].append(event)
        self.causes[event.cause].append(event)

    def _wrong(self, record: Raw, body: dict[str, Any], event: Told) -> Iterator[tuple[str, str]]:
        due = len(self.of[event.tenant]) + 1
        if event.sequence != due:
            yield "sequence", f"{event.tenant} has {event.sequence} where {due} was due"
        if body.get("previoushash", "") != self._hashes.get(event.tenant, ""):
            yield "chain", f"{event.tenant}: the hash before is another one"
        sealed = (record.value or b"")[:-SEAL_BYTES] + b"}"
        if blake2b(sealed, digest_size=16).hexdigest() != body["hash"]:
            yield "hash", f"{event.tenant}: the bytes have another hash"

    def _find(self, rule: str, record: Raw, what: str) -> None:
        self.findings.append(Finding(rule, f"events:{record.partition}:{record.offset}", what))
