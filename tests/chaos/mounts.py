"""Disks of a few megabytes, which only root can mount."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

MOUNT_SECONDS: Final = 10.0
FILLING: Final = "filling"
BLOCK: Final = bytes(1 << 20)


@asynccontextmanager
async def small_disk(directory: Path, megabytes: int) -> AsyncIterator[Path | None]:
    """A disk of that size at a directory; None where this user cannot mount one."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    if not await _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(directory)):
        yield None
        return
    try:
        yield directory
    finally:
        await _run("umount", "--lazy", str(directory))


def fill_up(disk: Path) -> None:
    """Leave no room on a disk."""
    # Others write at the same time, so it is written until nothing more goes in.
    with (disk / FILLING).open("wb", buffering=0) as filling, suppress(OSError):
        while filling.write(BLOCK):
            pass


def make_room(disk: Path) -> None:
    """Take away what filled it up."""
    (disk / FILLING).unlink()


async def _run(*command: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(MOUNT_SECONDS):
        return await process.wait() == 0
