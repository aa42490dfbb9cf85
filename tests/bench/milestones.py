"""What a measured process tells the one that measures it: one JSON object per line of a file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple


class Milestone(NamedTuple):
    """A moment in a measured process.

    Attributes:
        what: its name.
        at: seconds of the machine's monotonic clock, the same for every process.
        cpu: processor seconds that the process had used.
        records: number of records folded so far, where it counts them.
    """

    what: str
    at: float
    cpu: float
    records: int


class Milestones:
    """Writes milestones.

    Args:
        path: the file, appended to.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def reached(self, what: str, records: int = 0) -> None:
        """Tell of a moment, now."""
        milestone = Milestone(what, time.monotonic(), time.process_time(), records)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(milestone._asdict()) + "\n")


def read(path: Path) -> dict[str, Milestone]:
    """The last milestone of each name; a line that is still being written is passed over."""
    if not path.exists():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    found = [Milestone(**json.loads(line)) for line in lines if line.endswith("\n")]
    return {milestone.what: milestone for milestone in found}
