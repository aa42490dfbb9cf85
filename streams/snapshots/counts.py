"""What became of a worker's snapshots."""

from __future__ import annotations


class Counts:
    """Since the worker started.

    Attributes:
        written: snapshots that were written.
        states: states in them that had changed.
        loaded: snapshots from which a partition was recovered.
        discarded: snapshots that were in doubt.
        failed: times that the disk failed.
    """

    __slots__ = ("discarded", "failed", "loaded", "states", "written")

    def __init__(self) -> None:
        self.written = self.states = self.loaded = self.discarded = self.failed = 0
