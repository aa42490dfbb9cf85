"""A process that writes snapshots of a partition, one after another, until it is killed.

What the partition is at an offset follows from the offset alone, so whoever reads a snapshot knows what must be in it.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from pathlib import Path
from typing import Final

from statemachine import PartitionState
from statemachine.partition import Claim
from statemachine.state import TenantState
from streams.snapshots import shelf as module
from streams.snapshots.shelf import Shelf
from streams.snapshots.snapshot import snapshot_of
from streams.snapshots.store import Store

TOPIC: Final = "connect.local.events"
TENANTS: Final = 400
EVENTS_BETWEEN: Final = 37
"""Events between two snapshots."""

BATCH_STATES: Final = 10
"""States of one batch: few, so that a process is killed between two of them."""


def record(offset: int) -> bytes:
    """What stands for the log's record at an offset."""
    return b"record %d" % offset


def state_at(offset: int) -> PartitionState:
    """The partition: a claim, and then an event of each tenant in turn."""
    state = PartitionState(0)
    state.folded, state.claim = offset, Claim(0, "w1", 1, 0)
    state.command_offset, state.origins = 3 * offset, {7: offset}
    for number in range(min(offset, TENANTS)):
        sequence = (offset - number - 1) // TENANTS + 1
        name = f"t{number}"
        digest = blake2b(f"{name} {sequence}".encode(), digest_size=16).hexdigest()
        state.tenants[name] = TenantState(name, sequence=sequence, hash=digest)
    return state


def main() -> None:
    """Write for ever, and say the offset of each snapshot that is whole."""
    module.BATCH_STATES_MAX = BATCH_STATES  # type: ignore[misc]  # a constant, but for this process
    store = Store(Path(sys.argv[1]))
    store.open()
    shelf = Shelf(store, TOPIC)
    headings = [heading for place in shelf.places(0) if (heading := shelf.heading(place)) is not None]
    offset = max((heading.folded for heading in headings), default=0)
    sys.stdout.write("writing\n")
    while True:
        sys.stdout.flush()
        offset += EVENTS_BETWEEN
        filling = shelf.fill(snapshot_of(state_at(offset), record(offset)))
        assert filling is not None
        while not filling.step():
            pass
        shelf.was_filled(filling)
        sys.stdout.write(f"{offset}\n")


if __name__ == "__main__":
    main()
