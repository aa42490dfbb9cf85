"""Rows on their way to Kafka, streamed or read back: judged, sent, and accounted for once they are acknowledged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

import structlog

from streams.catalog.entry import Limits
from streams.replication.order import StreamOrder
from streams.replication.outbox import Dropped, Outbox
from streams.replication.refusals import Refusals
from streams.replication.rows import MessageRow, Refusal, RowJudge
from streams.wire.broadcast import encode_broadcast

_MILLISECOND: Final = timedelta(milliseconds=1)

log = structlog.get_logger(__name__)


class Passing(NamedTuple):
    """What is remembered of a streamed row until Kafka has acknowledged it.

    Attributes:
        committed_at: when its transaction was committed; aware.
        inserted_at: when it says it was inserted; aware.
        payload_bytes: how large its payload is.
        id: of the row.
    """

    committed_at: datetime
    inserted_at: datetime
    payload_bytes: int
    id: str


class Receipts:
    """Is told by the outbox what became of rows, and tells the order's observer.

    Args:
        order: whose rows.
        refusals: of the stream.

    Attributes:
        moved: called after rows were acknowledged; nothing is done until it is set.
    """

    def __init__(self, order: StreamOrder, refusals: Refusals) -> None:
        self.moved: Callable[[], None] = lambda: None
        self._order = order
        self._refusals = refusals

    def acknowledged(self, tags: Sequence[Passing | None]) -> None:
        """Rows arrived; those that were read back have no tag, as nothing can be said of how long they took."""
        try:
            self._observe(tags)
        except Exception:
            # A mistake in counting must not keep the outbox from emptying.
            log.exception("replication.observer_failed", tenant=self._order.tenant)
        self.moved()

    def dropped(self, dropped: Dropped) -> None:
        """Kafka refused a row for good."""
        self._refusals.refuse(dropped.code, dropped.message, dropped.tag and dropped.tag.id)

    def _observe(self, tags: Sequence[Passing | None]) -> None:
        now = self._order.now()
        delivered = self._order.observer.delivered
        for tag in tags:
            if tag is not None:
                delivered(
                    (now - tag.committed_at) / _MILLISECOND, (now - tag.inserted_at) / _MILLISECOND, tag.payload_bytes
                )


class Sender:
    """Judges rows and sends those that pass.

    Args:
        order: whose rows, and under which claim.
        outbox: where they go; must not be full when a row is sent.
        refusals: takes what does not pass.

    Attributes:
        rows: how many were sent.
    """

    def __init__(self, order: StreamOrder, outbox: Outbox, refusals: Refusals) -> None:
        self.rows = 0
        self._outbox = outbox
        self._refusals = refusals
        self._judge = RowJudge(order.tenant, order.claim, order.limits)

    @property
    def payload_bytes_max(self) -> int:
        """What the payload of a row may have."""
        return self._judge.payload_bytes_max

    def change(self, limits: Limits) -> None:
        """Judge by other limits from now on."""
        self._judge.change(limits)

    def send(self, row: MessageRow, lsn: int, lsn_text: str, ordinal: int, committed_at: datetime | None) -> None:
        """Send a row, where it is one to be sent.

        Args:
            row: the row.
            lsn: where its transaction was committed.
            lsn_text: the same as text.
            ordinal: its place among the rows of that transaction, from 0.
            committed_at: when that was, aware; None for a row that was read back.

        Raises:
            DeliveryFailed: nothing can be sent any more.
        """
        verdict = self._judge.judge(row, lsn_text, ordinal, committed_at=committed_at)
        if verdict is None:
            return
        if isinstance(verdict, Refusal):
            self._refusals.refuse(verdict.code, verdict.message, verdict.id)
            return
        value = encode_broadcast(verdict)
        tag = None
        if committed_at is not None:
            tag = Passing(committed_at, verdict.inserted_at, _payload_bytes(row), verdict.id)
        self._outbox.send(lsn, value, tag)
        self.rows += 1


def _payload_bytes(row: MessageRow) -> int:
    body = row.binary_payload if isinstance(row.binary_payload, bytes) else row.payload
    return len(body) if isinstance(body, bytes) else 0
