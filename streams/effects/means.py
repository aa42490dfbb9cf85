"""What the work of every tenant needs."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import NamedTuple

from streams.catalog.entry import CatalogEntry
from streams.effects.bounds import Bounds
from streams.effects.fences import Fences
from streams.replication.broadcaster import Broadcaster
from streams.replication.order import Observer, StreamLimits
from streams.replication.positions import Positions
from streams.tenantdb.session import SessionLimits


class Means(NamedTuple):
    """What the work of every tenant needs.

    Attributes:
        load: the tenant's catalog entry as of now, None for no such tenant.
        serves: whether this region serves a platform region.
        bounds: places to work in.
        starts: places to start streams in; a start waits for other people's transactions, and no other work for it.
        limits: bounds of database sessions.
        backoff_ms: shortest and longest wait between attempts to reconnect, in milliseconds.
        chance: randomness for waits.
        now: the clock, aware, UTC.
        used: whether somebody uses a tenant; such tenants go first.
        failed: told of a failure that the worker cannot survive.
        broadcaster: where rows go.
        positions: the points to resume from.
        fences: what is written before a partition's rows are streamed.
        streams: bounds of streams.
        observer: makes the one who is told of a tenant's rows.
    """

    load: Callable[[str], Awaitable[CatalogEntry | None]]
    serves: Callable[[str], bool]
    bounds: Bounds
    starts: Bounds
    limits: SessionLimits
    backoff_ms: tuple[int, int]
    chance: random.Random
    now: Callable[[], datetime]
    used: Callable[[str], bool]
    failed: Callable[[Exception], None]
    broadcaster: Broadcaster
    positions: Positions
    fences: Fences
    streams: StreamLimits
    observer: Callable[[str], Observer]
