"""Settings: what can be set, where each value came from, and what it means."""

from __future__ import annotations

from streams.settings.description import Setting
from streams.settings.document import markdown
from streams.settings.settings import Settings

__all__ = ["Setting", "Settings", "markdown"]
