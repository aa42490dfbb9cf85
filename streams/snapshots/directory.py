"""Where a worker's snapshots are: a directory of its own, and what becomes of those of workers that are no more."""

from __future__ import annotations

import re
from hashlib import blake2b
from pathlib import Path
from typing import Final

from streams.settings import Settings
from streams.snapshots.doubt import StoreFailed
from streams.snapshots.store import destroy

ABANDONED_S: Final = 7 * 24 * 3600.0
"""How long a directory that nobody has open is kept after it was last written, in seconds. A worker without a name of
its own gets another one with every process, and each leaves a directory behind."""

SWEPT_MAX: Final = 100
"""Directories that one start looks at."""

NAME_LENGTH_MAX: Final = 100
DIGEST_BYTES: Final = 8

_PLAIN: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{NAME_LENGTH_MAX - 1}}}")
_UNFIT: Final = re.compile(r"[^A-Za-z0-9_-]")


def directory_of(settings: Settings) -> Path:
    """The directory of the worker that has these settings: no other worker of any region has the same."""
    region = f"{settings.topic_prefix}.{settings.region}"
    return settings.data_dir / "snapshots" / _file_name(region) / _file_name(settings.worker_name)


def sweep(directory: Path, now: float) -> list[Path]:
    """Delete what other workers beside ``directory`` abandoned, `SWEPT_MAX` of them at most; gives what is deleted.

    Args:
        directory: of a worker; it is left alone.
        now: seconds since 1970.
    """
    swept: list[Path] = []
    for other in _beside(directory):
        try:
            if now - _written(other) >= ABANDONED_S:
                destroy(other)
                swept.append(other)
        except (OSError, StoreFailed):
            # It is in use, or somebody else's: whoever may delete it will.
            continue
    return swept


def _beside(directory: Path) -> list[Path]:
    if not directory.parent.is_dir():
        return []
    others = [other for other in directory.parent.iterdir() if other != directory and other.is_dir()]
    return others[:SWEPT_MAX]


def _written(directory: Path) -> float:
    return max(path.stat().st_mtime for path in (directory, *directory.iterdir()))


def _file_name(name: str) -> str:
    """A name as a file's: itself, or what is fit of it and a digest that tells it from others."""
    if _PLAIN.fullmatch(name):
        return name
    digest = blake2b(name.encode(), digest_size=DIGEST_BYTES).hexdigest()
    return f"{_UNFIT.sub('_', name)[: NAME_LENGTH_MAX // 2]}-{digest}"
