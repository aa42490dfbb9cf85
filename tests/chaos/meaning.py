"""What commands mean: the event that each leads to, and what may be said of a tenant when it is answered.

By the words of the contract, and nothing of the service's own deciding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.chaos.facts import LIVE, Facts

NOTHING: Final = "nothing"
"""A command that finds everything as it asks for, or only asks, leads to no event."""

REFUSED: Final = "a refusal"

NEVER_WAIT: Final = frozenset({"status", "check_health", "pause", "resume", "retry"})
"""Commands that their owner answers at once, and never refuses."""


class Asked(NamedTuple):
    """What is asked: a command's type, and what it waits for."""

    kind: str
    wait: str = "ready"

    @property
    def at_once(self) -> bool:
        """Whether its owner answers it when it is decided."""
        return self.kind in NEVER_WAIT or (self.kind == "connect" and self.wait == "no")


def due(asked: Asked, facts: Facts) -> str:
    """The type of the event that a command leads to, `NOTHING`, or `REFUSED`."""
    match asked.kind:
        case "pause":
            return "connect.paused"
        case "resume":
            return "connect.resumed" if facts.paused else NOTHING
        case "connect" | "reload":
            return REFUSED if facts.paused else _wanted(asked, facts)
        case "shutdown":
            return _unwanted(facts)
        case "retry":
            return _tried(facts)
    return NOTHING


def _wanted(asked: Asked, facts: Facts) -> str:
    if asked.kind == "reload" and facts.lifecycle in LIVE:
        return "connect.stopping"
    if facts.lifecycle == "absent":
        return REFUSED if facts.limited else "connect.requested"
    return "connect.stopping" if facts.lifecycle == "stopping" and not facts.reconnect else NOTHING


def _unwanted(facts: Facts) -> str:
    if facts.lifecycle in LIVE or (facts.lifecycle == "stopping" and facts.reconnect):
        return "connect.stopping"
    return "connect.stopped" if facts.reconnect else NOTHING


def _tried(facts: Facts) -> str:
    if facts.lifecycle == "absent" and facts.limited:
        return "limit.cleared"
    waits = facts.database == "recovering" or facts.replication == "waiting"
    return "connect.retried" if facts.lifecycle == "ready" and waits else NOTHING


def is_so(asked: Asked, facts: Facts) -> bool:
    """Whether a tenant is as an `ok` says that it is."""
    if asked.kind == "shutdown":
        return facts.lifecycle != "stopping"
    ready = facts.lifecycle == "ready" and not facts.paused
    if asked.kind == "reload":
        return ready
    if asked.kind != "connect":
        return True
    if asked.wait == "no":
        return ready or not (facts.paused or facts.limited)
    return ready and (asked.wait != "streaming" or facts.replication in {"streaming", "off"})


def may_be_refused(asked: Asked, code: str, facts: Facts) -> bool:
    """Whether the owner may refuse a command with such a code while a tenant is so."""
    if asked.kind in NEVER_WAIT or (code != "initializing" and asked.kind == "shutdown"):
        return False
    if code == "initializing":
        return _is_awaited(asked, facts)
    if code == "tenant_paused" and facts.paused:
        return True
    if code == "connect_rate_limit_reached":
        return facts.limited
    ended = facts.lifecycle == "absent" and not facts.reconnect
    return ended and _TOLD.get(facts.reason or "", "tenant_database_unavailable") == code


def _is_awaited(asked: Asked, facts: Facts) -> bool:
    if asked.kind == "shutdown":
        return facts.lifecycle == "stopping"
    stream = asked.wait == "streaming" and facts.replication not in {"streaming", "off"}
    return facts.lifecycle in {"checking", "provisioning", "stopping"} or facts.reconnect or stream


_TOLD: Final[Mapping[str, str]] = {
    "suspended": "tenant_suspended",
    "tenant_not_found": "tenant_not_found",
    "paused": "tenant_paused",
    "tenant_db_too_many_connections": "tenant_db_too_many_connections",
    "pooled_endpoint": "pooled_endpoint",
}
"""What those who wait for a connection are told when it is stopped for such a reason; for any other reason that the
database is unavailable."""


def asked_of(body: Mapping[str, Any]) -> Asked:
    """What a command's record asks."""
    return Asked(body["type"], (body.get("data") or {}).get("wait", "ready"))
