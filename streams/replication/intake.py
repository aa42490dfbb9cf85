"""Messages of the stream in, rows out: which transaction a row belongs to, and where it was committed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from streams.errors import PgoutputUnreadable
from streams.replication.outbox import Outbox
from streams.replication.pgoutput import Decoder
from streams.replication.protocol import Begin, Commit, Insert, Relation
from streams.replication.rows import COLUMNS, Pick, picker_of
from streams.replication.sending import Sender
from streams.wire.lsn import lsn_text

_NEVER: Final = datetime.min.replace(tzinfo=UTC)

log = structlog.get_logger(__name__)


class Intake:
    """Takes the messages of one session in their order.

    Args:
        tenant: whose, for the log.
        sender: takes their rows.
        outbox: is told where transactions end.

    Attributes:
        in_transaction: whether the last transaction that began has not ended yet.
    """

    def __init__(self, tenant: str, sender: Sender, outbox: Outbox) -> None:
        self.in_transaction = False
        self._tenant = tenant
        self._sender = sender
        self._outbox = outbox
        self._decoder = Decoder(COLUMNS)
        self._picks: dict[int, Pick | None] = {}
        self._committed_at = _NEVER
        self._lsn = 0
        self._lsn_text = ""
        self._ordinal = 0
        self._others: dict[type, Callable[[Any], None]] = {
            Begin: self._begin,
            Commit: self._commit,
            Relation: self._announced,
        }

    def take(self, payload: bytes) -> None:
        """Take the next message.

        Raises:
            PgoutputUnreadable: it is none, or does not follow from those before.
            DeliveryFailed: nothing can be sent any more.
        """
        message = self._decoder.decode(payload)
        if type(message) is Insert:
            self._inserted(message)
            return
        other = self._others.get(type(message))
        if other is not None:
            other(message)

    def _begin(self, begin: Begin) -> None:
        self.in_transaction = True
        self._lsn = begin.final_lsn
        self._lsn_text = lsn_text(begin.final_lsn)
        self._committed_at = begin.commit_time
        self._ordinal = 0

    def _commit(self, commit: Commit) -> None:
        self.in_transaction = False
        self._outbox.seal(commit.end_lsn)

    def _announced(self, relation: Relation) -> None:
        pick = self._picks[relation.oid] = picker_of(relation)
        if pick is None:
            log.warning("replication.unexpected_relation", tenant=self._tenant, relation=relation.table)

    def _inserted(self, insert: Insert) -> None:
        if not self.in_transaction:
            raise PgoutputUnreadable("a row outside of a transaction")
        pick = self._picks[insert.relation]
        if pick is not None:
            self._sender.send(pick(insert.values), self._lsn, self._lsn_text, self._ordinal, self._committed_at)
            self._ordinal += 1
