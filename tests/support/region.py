"""A region of a test's own: topics that no other test has, and a worker in the test's own loop."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from streams.catalog.crypto import new_key
from streams.devstack.kafka.server import KafkaServer
from streams.kafka.administration import apply
from streams.service.worker import Worker
from streams.settings import Settings
from tests.support.waiting import DEADLINE_S, until


def fresh_region(kafka: KafkaServer, name: str, **changed: Any) -> Settings:
    """Settings of a region that begins with ``name`` and has its topics; ``changed`` are other settings."""
    settings = Settings.model_validate(
        {
            "kafka": kafka.bootstrap,
            "topic_prefix": f"{name}-{secrets.token_hex(4)}",
            "partitions": 4,
            "http_port": 0,
            "data_dir": kafka.directory / "workers",
            "encryption_keys": {"k1": new_key()},
            **changed,
        }
    )
    apply(settings)
    return settings


@asynccontextmanager
async def working(settings: Settings) -> AsyncIterator[Worker]:
    """A worker that owns every partition, for as long as it is entered."""
    stop = asyncio.Event()
    worker = Worker(settings)
    running = asyncio.create_task(worker.run(stop))
    try:
        await until(lambda: running.done() or len(worker.partitions) == settings.partitions)
        yield worker
    finally:
        stop.set()
        await asyncio.wait_for(running, DEADLINE_S)
