"""How long one row takes on its way from the stream to Kafka's queue, step by step, without Kafka.

Usage: ``python -m tests.bench.decoding``; prints microseconds, the best of several rounds.
"""

from __future__ import annotations

import sys
import timeit
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from streams.catalog.entry import Limits
from streams.replication.pgoutput import Decoder
from streams.replication.protocol import Insert, Relation
from streams.replication.rows import COLUMNS, RowJudge, picker_of
from streams.wire.broadcast import Broadcast, encode_broadcast
from tests.unit.replication import encoder
from tests.unit.replication.encoder import A_ROW, MESSAGES

ROUNDS: Final = 7
CALLS: Final = 20_000
PAYLOAD: Final = b'{"a": "' + b"x" * 180 + b'"}'
COMMITTED: Final = datetime(2030, 1, 1, tzinfo=UTC)


def steps() -> dict[str, Callable[[], Any]]:
    """Each step, ready to be called."""
    decoder = Decoder(COLUMNS)
    relation = decoder.decode(encoder.relation(MESSAGES))
    assert isinstance(relation, Relation)
    pick = picker_of(relation)
    assert pick is not None
    payload = encoder.insert(MESSAGES, [*A_ROW[:2], PAYLOAD, *A_ROW[3:]])
    insert = decoder.decode(payload)
    assert isinstance(insert, Insert)
    row = pick(insert.values)
    judge = RowJudge("t1", 7, Limits(max_events_per_second=10**9))
    broadcast = judge.judge(row, "16/B374D848", 0, committed_at=COMMITTED)
    assert isinstance(broadcast, Broadcast)
    return {
        "decode": lambda: decoder.decode(payload),
        "pick": lambda: pick(insert.values),
        "judge": lambda: judge.judge(row, "16/B374D848", 0, committed_at=COMMITTED),
        "encode": lambda: encode_broadcast(broadcast),
    }


def main() -> None:
    """Measure and print."""
    for name, call in steps().items():
        best = min(timeit.repeat(call, number=CALLS, repeat=ROUNDS)) / CALLS
        sys.stdout.write(f"{name:8} {best * 1e6:6.2f} µs\n")


if __name__ == "__main__":
    main()
