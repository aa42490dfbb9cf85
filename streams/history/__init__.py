"""The reading side of the log: history, replay, audit, export. Nothing here writes or acts."""

from __future__ import annotations

from streams.history.audit import AuditReport, Finding, verify
from streams.history.entry import HistoryEntry
from streams.history.export import export
from streams.history.follow import Follower, Start
from streams.history.history import History

__all__ = ["AuditReport", "Finding", "Follower", "History", "HistoryEntry", "Start", "export", "verify"]
