"""What becomes of snapshots, to be counted."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum


class Outcome(StrEnum):
    """What became of a snapshot."""

    WRITTEN = "written"
    LOADED = "loaded"
    DISCARDED = "discarded"
    FAILED = "failed"


Counted = Callable[[Outcome], None]
"""Told of each snapshot that was written, loaded or discarded, and of each time that the disk failed."""
