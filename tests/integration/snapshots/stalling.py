"""A worker's process that claims its partitions, says so, and goes on when it is told to."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from unittest import mock

from streams.cli.main import main
from streams.registry.registry import Registry

_ASSIGN = Registry.assign


async def _assign_and_wait(
    registry: Registry, partitions: Iterable[int], generation: int, standbys: Iterable[int] = ()
) -> None:
    await _ASSIGN(registry, partitions, generation, standbys)
    sys.stdout.write("claimed\n")
    sys.stdout.flush()
    # Nothing else of the process is to go on meanwhile.
    sys.stdin.readline()


if __name__ == "__main__":
    with mock.patch.object(Registry, "assign", _assign_and_wait):
        main()
