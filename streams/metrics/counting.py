"""How an event is counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from statemachine.events import Event
from statemachine.state import TenantState

Count = Callable[[Event, Any, TenantState], None]
"""Counts one type of event: the event, its payload, and the tenant's state before it."""
