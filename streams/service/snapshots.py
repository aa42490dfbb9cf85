"""The snapshots of a worker, made from its settings."""

from __future__ import annotations

from streams.kafka.clients import consumer_configuration
from streams.settings import Settings
from streams.snapshots.directory import directory_of
from streams.snapshots.marks import LogMarks
from streams.snapshots.nothing import NoSnapshots
from streams.snapshots.outcome import Counted
from streams.snapshots.snapshots import Pace, Snapshots
from streams.snapshots.store import Store
from streams.topics import Topics


def snapshots_of(settings: Settings, counted: Counted) -> Snapshots | NoSnapshots:
    """Where the worker keeps snapshots of its partitions; nowhere where the settings say so."""
    if settings.snapshot_interval_ms == 0:
        return NoSnapshots()
    topic = Topics(settings).events
    marks = LogMarks(consumer_configuration(settings, f"{settings.worker_name}.marks"), topic)
    pace = Pace(settings.snapshot_interval_ms / 1000, settings.snapshot_events_max)
    return Snapshots(Store(directory_of(settings)), topic, marks, pace, counted)
