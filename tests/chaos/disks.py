"""Faults of the disk that snapshots are on: damaged, cut short, full."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from tests.chaos.stage import Stage

MOUNT_SECONDS: Final = 10.0
SMALL: Final = "size=2m"
FLIPS: Final = 64


async def bad_disk(stage: Stage) -> None:
    """F9: snapshots are damaged and cut short while their worker is away, and their disk is full."""
    await stage.pause(2, 3)
    for kind, harm in (("snapshots damaged", _flip), ("snapshots cut short", _truncate)):
        worker = stage.crew.owner(stage.chance.random())
        with stage.fault(kind):
            worker.kill()
            for file in _files(stage, worker.name):
                harm(stage, file)
            worker.start()
            await stage.serving()
        await stage.pause(2, 3)
    async with _small_disk(stage.place.directory / f"small-{stage.settings.topic_prefix}") as small:
        if small is None:
            stage.skipped.append("a full disk: only root can mount one")
            return
        with stage.fault("disk of snapshots full"):
            guest = stage.crew.hire(data_dir=str(small))
            await stage.serving()
            await stage.pause(2, 3)
            (small / "filling").write_bytes(b"x" * _free(small))
            await stage.pause(4, 6)
            guest.kill()
            guest.start()
            await stage.serving()
            await guest.stop()
    await stage.serving()


def _files(stage: Stage, worker: str) -> list[Path]:
    """What the worker's snapshots are made of."""
    directory = stage.place.directory / "workers" / stage.settings.topic_prefix / worker / "data"
    return [file for file in sorted(directory.rglob("*")) if file.is_file() and file.stat().st_size]


def _flip(stage: Stage, file: Path) -> None:
    body = bytearray(file.read_bytes())
    for _ in range(FLIPS):
        body[stage.chance.randrange(len(body))] ^= 1 << stage.chance.randrange(8)
    file.write_bytes(body)


def _truncate(stage: Stage, file: Path) -> None:
    body = file.read_bytes()
    file.write_bytes(body[: stage.chance.randrange(len(body))])


def _free(directory: Path) -> int:
    found = subprocess.run(  # noqa: S603  a fixed program and a directory made here
        ["/bin/df", "--output=avail", "-B1", str(directory)], capture_output=True, text=True, check=True, timeout=5
    )
    return int(found.stdout.split()[-1])


@asynccontextmanager
async def _small_disk(directory: Path) -> AsyncIterator[Path | None]:
    """A disk of two megabytes; None where this user cannot mount one."""
    await asyncio.to_thread(directory.mkdir, parents=True)
    if not await _mount("mount", "-t", "tmpfs", "-o", SMALL, "tmpfs", str(directory)):
        yield None
        return
    try:
        yield directory
    finally:
        await _mount("umount", "--lazy", str(directory))


async def _mount(*command: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(MOUNT_SECONDS):
        return await process.wait() == 0
