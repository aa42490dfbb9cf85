"""What happened, in words."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from statemachine.events import (
    Claimed,
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    Event,
    EventData,
    ReplicationLost,
    ReplicationPostponed,
    ReplicationStarted,
)
from statemachine.state import Failure
from streams.terminal.tables import moment

DASH: Final = "-"


def what_happened(event: Event | Claimed) -> str:
    """The payload of an event in a few words."""
    return _payload(event if isinstance(event, Claimed) else event.data)


def type_of(event: Event | Claimed) -> str:
    """The event's type, such as ``connect.provisioned``."""
    return event.type if isinstance(event, Claimed) else event.data.type


def _payload(data: EventData) -> str:
    match data:
        case Claimed():
            said = f"by {data.worker}, generation {data.generation}"
        case ConnectRequested():
            said = f"{data.platform_region or DASH}, served by {data.serving_region or DASH}"
        case ConnectChecked():
            there = _count(data.migrations_on_database, "migration")
            said = f"{data.available} connections free, {data.required} needed; {there} there ({data.took_ms} ms)"
        case ConnectProvisioned():
            days = f"{data.partitions[0]} to {data.partitions[-1]}" if data.partitions else "none"
            said = f"{_count(data.migrations_run, 'migration')} run; partitions {days} ({data.took_ms} ms)"
        case ConnectStopping() | ConnectStopped():
            code = f" ({data.code})" if data.code else ""
            said = f"{data.reason.value}{code}" + (f": {data.message}" if data.message else "")
        case ConnectPaused():
            until = f", until {moment(data.until)}" if data.until else ""
            said = f"by {data.author or 'an operator'}: {data.reason or 'no reason given'}{until}"
        case ReplicationStarted():
            since = (
                f"resumed from {data.resumed_from}, {_count(data.backfilled, 'row')} read"
                if data.resumed_from
                else "anew"
            )
            said = f"{data.mode.value}, {since}; delivers from {data.delivers_from_lsn}"
        case ReplicationLost() | ReplicationPostponed():
            failed = Failure(data.code, data.message, getattr(data, "blocked_by", None))
            said = f"{failed.said}; tried again at {moment(data.next_attempt_at)}"
        case DatabaseLost():
            said = f"{Failure(data.code, data.message).said}; tried again until {moment(data.recovery_until)}"
        case _:
            said = _fields(data)
    return said


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _fields(data: Any) -> str:
    pairs = ((field.name.replace("_", " "), getattr(data, field.name)) for field in fields(data))
    said = (f"{name} {moment(value) if isinstance(value, datetime) else value}" for name, value in pairs if value)
    return ", ".join(said)
