"""Faults of disks: snapshots are damaged and cut short, and there is no room for them or for the broker."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from tests.chaos.mounts import fill_up, make_room, small_disk
from tests.chaos.stage import Stage

SNAPSHOTS_MB: Final = 2
"""Megabytes of the disk that snapshots are on, and that is filled up."""

FLIPS: Final = 64


async def bad_disk(stage: Stage) -> None:
    """F9: snapshots are damaged and cut short while their worker is away, and their disk is full."""
    await stage.pause(2, 3)
    for kind, harm in (("snapshots damaged", _flip), ("snapshots cut short", _truncate)):
        worker = await stage.owner()
        with stage.fault(kind, worker):
            worker.kill()
            for file in _files(stage, worker.name):
                harm(stage, file)
            worker.start()
            await stage.serving()
        await stage.pause(2, 3)
    async with small_disk(stage.place.directory / f"small-{stage.settings.topic_prefix}", SNAPSHOTS_MB) as small:
        if small is None:
            stage.skipped.append("a full disk: only root can mount one")
            return
        guest = stage.crew.hire(data_dir=str(small))
        await stage.shared()
        await stage.pause(2, 3)
        with stage.fault("disk of snapshots full", guest):
            fill_up(small)
            await stage.pause(4, 6)
            guest.kill()
            guest.start()
            await stage.serving()
            await guest.stop()
    await stage.serving()


async def full_broker(stage: Stage) -> None:
    """F3: there is no room on the broker's disk, so that it ends; it is started once there is."""
    disk = stage.place.broker_disk
    if disk is None:
        stage.skipped.append("a broker without room: only root can mount a small disk")
        return
    with stage.fault("disk of the broker full"):
        await asyncio.to_thread(fill_up, disk)
        await stage.pause(4, 6)
        # It may have ended by itself, or not have noticed: nothing is asked of it but that it goes on afterwards.
        await stage.place.brokers.kill()
        make_room(disk)
        await stage.place.brokers.start()
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
