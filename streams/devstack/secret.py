"""Files that only their owner may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def ensure_secret(path: Path, make: Callable[[], str]) -> str:
    """The text of a secret file, made when the file is not there."""
    if not path.exists():
        write_secret(path, make())
    return path.read_text(encoding="utf-8")


def write_secret(path: Path, text: str) -> None:
    """Write a file with mode 0600; a reader finds all of it, or what was there before."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
