"""Records of the log and states of tenants, as they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

import msgspec
from rich.text import Text

from statemachine.events import Claimed, Event
from streams.history import HistoryEntry
from streams.terminal import tables
from streams.terminal.wording import DASH, type_of, what_happened
from streams.wire.broadcast import Broadcast
from streams.wire.reply import HealthStatus, TenantStatus

TIMELINE_COLUMNS: Final = ("sequence", "time", "event", "what", "claim", "caused by", "partition:offset")
STATUS_COLUMNS: Final = (
    "tenant",
    "lifecycle",
    "database",
    "replication",
    "reason",
    "since",
    "sequence",
    "owner",
    "claim",
)

PAYLOAD_SHOWN_MAX: Final = 100
"""Characters of a payload that a line shows."""

EVENT_STYLES: Final = {
    "connect.claimed": "cyan",
    "connect.provisioned": "green",
    "database.restored": "green",
    "connect.stopping": "yellow",
    "connect.stopped": "yellow",
    "connect.paused": "yellow",
    "database.lost": "red",
    "replication.started": "green",
    "replication.lost": "red",
    "replication.postponed": "yellow",
    "replication.gap": "red",
    "occupancy.idle": "yellow",
    "limit.reached": "red",
    "limit.cleared": "green",
    "partitions.failed": "red",
    "partitions.restored": "green",
}


def entry_record(entry: HistoryEntry) -> dict[str, Any]:
    """A record of the log for programs; ``event`` is the CloudEvents object as it stands there."""
    return {
        "topic": entry.topic,
        "partition": entry.partition,
        "offset": entry.offset,
        "timestamp_ms": entry.timestamp_ms,
        "verdict": entry.verdict.value,
        "event": msgspec.Raw(entry.raw),
    }


def event_name(event: Event | Claimed) -> Text:
    """The event's type in its colour."""
    name = type_of(event)
    return Text(name, style=EVENT_STYLES.get(name, ""))


def entry_line(entry: HistoryEntry) -> Text:
    """A record of the log as one line of a live stream."""
    clock = entry.time.astimezone(UTC).strftime("%H:%M:%S.%f")[:-3]
    who = entry.tenant or f"partition {entry.partition}"
    name = event_name(entry.event)
    name.pad_right(max(0, 20 - len(name)))
    return Text.assemble((f"{clock}  ", "dim"), f"{who:<14}", name, f" {what_happened(entry.event)}")


def broadcast_line(broadcast: Broadcast) -> Text:
    """A broadcast row as one line of a live stream; a long payload is cut, a binary one is only measured."""
    clock = broadcast.inserted_at.strftime("%H:%M:%S.%f")[:-3]
    body = _body(broadcast)
    shown = body if len(body) <= PAYLOAD_SHOWN_MAX else f"{body[:PAYLOAD_SHOWN_MAX]}…"
    topic = f"{broadcast.topic} {broadcast.event}"
    return Text.assemble((f"{clock}  ", "dim"), f"{broadcast.tenant:<14}", (topic, "cyan"), f" {shown}")


def _body(broadcast: Broadcast) -> str:
    if isinstance(broadcast.payload, msgspec.Raw):
        return bytes(broadcast.payload).decode()
    return f"{len(broadcast.payload_base64 or b'')} bytes"


def timeline_row(entry: HistoryEntry) -> Sequence[object]:
    """A tenant's event as a row under `TIMELINE_COLUMNS`."""
    event = entry.event
    place = f"{entry.partition}:{entry.offset}"
    if isinstance(event, Claimed):
        return (DASH, tables.moment(entry.time), event_name(event), what_happened(event), entry.offset, DASH, place)
    happened = what_happened(event)
    return (event.sequence, tables.moment(event.time), event_name(event), happened, event.claim, event.causation, place)


def status_row(status: TenantStatus) -> Sequence[object]:
    """A status as a row under `STATUS_COLUMNS`."""
    return (
        status.tenant,
        tables.state(status.lifecycle),
        tables.state(status.database),
        tables.state(status.replication),
        status.reason or DASH,
        tables.moment(status.since),
        status.sequence,
        status.owner.worker if status.owner else DASH,
        status.owner.claim if status.owner else DASH,
    )


def health_facts(health: HealthStatus) -> list[tuple[str, object]]:
    """A health check as names and values."""
    rows: list[tuple[str, object]] = [
        ("healthy", health.healthy),
        ("database connected", health.db_connected),
        ("replication connected", health.replication_connected),
        ("users", health.connected_cluster),
        ("migrations pending", health.migrations_pending),
        ("days without a partition", ", ".join(health.partitions_failed) or "none"),
        ("region", health.region),
        ("worker", health.node),
    ]
    return rows


def status_facts(status: TenantStatus) -> list[tuple[str, object]]:
    """A status as names and values, what is not known left out."""
    owner = f"{status.owner.worker}, claim {status.owner.claim}" if status.owner else None
    rows: list[tuple[str, object]] = [
        ("tenant", status.tenant),
        ("region", status.region),
        ("lifecycle", tables.state(status.lifecycle)),
        ("reason", status.reason),
        ("database", tables.state(status.database)),
        ("replication", tables.state(status.replication)),
        ("occupancy", status.occupancy),
        ("users", status.users),
        ("migrations", status.migrations),
        ("since", tables.moment(status.since)),
        ("sequence", status.sequence),
        ("owner", owner),
        *((f"deadline: {name.replace('_', ' ')}", tables.moment(due)) for name, due in status.deadlines.items()),
        ("why", status.why.what),
    ]
    return [(name, value) for name, value in rows if value is not None]
