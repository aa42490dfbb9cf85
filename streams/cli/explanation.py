"""Why a tenant is where it is, as sentences."""

from __future__ import annotations

from rich.text import Text

from streams.cli import tables
from streams.wire.reply import TenantStatus


def explanation(status: TenantStatus) -> Text:
    """What holds the tenant, since when and which event, and what comes next and when."""
    why = status.why
    lines = [
        Text.assemble((status.tenant, "bold"), " is ", tables.state(status.lifecycle), f": {_sentence(why.what)}"),
        Text(_since(status)),
        Text(f"Next: {_sentence(why.next)}" + (f" At the latest at {tables.moment(why.at)}." if why.at else "")),
    ]
    if status.owner is not None:
        lines.append(Text(f"{status.owner.worker} answered, which owns it under claim {status.owner.claim}.", "dim"))
    return Text("\n").join(lines)


def _since(status: TenantStatus) -> str:
    if status.since is None:
        return "That has been so from the beginning; no event has changed it."
    event = f", event {status.why.since_event}" if status.why.since_event else ""
    return f"That has been so since {tables.moment(status.since)}{event}."


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
