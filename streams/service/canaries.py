"""The canaries of a worker, as its settings want them."""

from __future__ import annotations

from streams.engine.app import Engine
from streams.engine.canary import Canaries
from streams.kafka.clients import repeating_producer
from streams.settings import Settings


def canaries_of(settings: Settings, engine: Engine) -> Canaries:
    """Canaries for all that an engine reads."""
    canaries = Canaries(
        repeating_producer(settings),
        lambda: engine.inputs,
        settings.canary_interval_ms / 1000,
        settings.canary_timeout_ms / 1000,
    )
    engine.listen(canaries.heard, canaries.held_up)
    return canaries
