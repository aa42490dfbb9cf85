from __future__ import annotations

from pathlib import Path

import streams


def test_nothing_waits_in_a_way_that_can_swallow_a_cancellation() -> None:
    """`asyncio.wait_for` does so before Python 3.12, where the result comes in the same turn; `asyncio.timeout` not."""
    (directory,) = streams.__path__
    users = [path.name for path in Path(directory).rglob("*.py") if "wait_for(" in path.read_text(encoding="utf-8")]
    assert users == []
