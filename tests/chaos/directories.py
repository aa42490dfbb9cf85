"""A directory that rounds are played in, by one program at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

LOCK: Final = "played-here.lock"


class DirectoryTaken(Exception):
    """Rounds are being played there already."""


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """Be the only one who plays in a directory, which is made where there is none; a lock goes with its process.

    Raises:
        DirectoryTaken: somebody else plays there.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"rounds are being played in {directory} already; wait for their end, or keep these elsewhere"
            raise DirectoryTaken(problem) from None
        yield
