"""A partition's state at one offset of the log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from statemachine.partition import Claim, PartitionState
from statemachine.state import TenantState


class Snapshot(NamedTuple):
    """What a partition is once the log is folded up to and including one offset, every record of it acknowledged.

    Attributes:
        partition: its number.
        folded: that offset.
        claim: the claim that counts there.
        command_offset: highest offset of a command that led to an event, -1 for none.
        origins: the same on the topic that commands were forwarded from, per partition of that topic.
        void: number of records that did not count.
        tenants: state per tenant id.
        last: value of the record at that offset: a log that has another one there is another log.
    """

    partition: int
    folded: int
    claim: Claim | None
    command_offset: int
    origins: Mapping[int, int]
    void: int
    tenants: Mapping[str, TenantState]
    last: bytes


def snapshot_of(state: PartitionState, last: bytes) -> Snapshot:
    """The state as it is now; it may change afterwards.

    States of tenants are immutable, so a copy of the dictionary is a copy of all of them: 2 to 5 ms for 100,000.

    Args:
        state: folded up to ``state.folded``.
        last: value of the record there.
    """
    return Snapshot(
        state.partition,
        state.folded,
        state.claim,
        state.command_offset,
        dict(state.origins),
        state.void,
        dict(state.tenants),
        last,
    )
