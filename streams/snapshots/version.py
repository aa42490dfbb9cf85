"""The version of a snapshot's contents: of the shape of states, and of the code that makes them out of records.

A state is what its events made it under one fold. Another fold may make another state of the same events, so a
snapshot is used only by the code that would have folded the same.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from enum import Enum
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from statemachine.state import TenantState

FOLDING: Final = (
    ("statemachine", "connect_limit.py"),
    ("statemachine", "events.py"),
    ("statemachine", "fold.py"),
    ("statemachine", "limits.py"),
    ("statemachine", "machines.py"),
    ("statemachine", "partition.py"),
    ("statemachine", "state.py"),
    ("statemachine", "table.py"),
    ("streams.wire", "event.py"),
)
"""Package and file of everything between a record's bytes and a state."""

VERSION_BYTES: Final = 16


@cache
def version() -> str:
    """The version, 32 hexadecimal digits."""
    digest = blake2b(layout(TenantState).encode(), digest_size=VERSION_BYTES)
    for package, file in FOLDING:
        source = files(package).joinpath(file).read_bytes()
        digest.update(f"{package}/{file}:{len(source)}\n".encode() + source)
    return digest.hexdigest()


def layout(shape: Any) -> str:
    """A type in words, down to its innermost fields: two types that are written differently have different words."""
    if isinstance(shape, type) and issubclass(shape, tuple) and hasattr(shape, "_fields"):
        hints = get_type_hints(shape)
        return f"{shape.__name__}({_joined([f'{name}: {layout(hints[name])}' for name in shape._fields])})"
    if isinstance(shape, type) and issubclass(shape, Enum):
        return f"{shape.__name__}({_joined([repr(member.value) for member in shape])})"
    if get_origin(shape) in (types.UnionType, Union):
        return " | ".join(sorted(layout(part) for part in get_args(shape)))
    if get_origin(shape) is not None:
        return f"{get_origin(shape).__name__}[{_joined([layout(part) for part in get_args(shape)])}]"
    return "..." if shape is Ellipsis else str(shape.__name__)


def _joined(parts: Sequence[str]) -> str:
    return ", ".join(parts)
