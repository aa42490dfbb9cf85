"""Why a tenant is where it is, as sentences."""

from __future__ import annotations

from rich.text import Text

from streams.terminal import tables
from streams.wire.reply import TenantStatus


def explanation(status: TenantStatus) -> Text:
    """What holds the tenant, since when and which event, and what comes next and when."""
    why = status.why
    lines = [
        Text.assemble((status.tenant, "bold"), " is ", tables.state(status.lifecycle), f": {_sentence(why.what)}"),
        Text(_since(status)),
        Text(f"Next{f', at {tables.moment(why.at)}' if why.at else ''}: {_sentence(why.next)}"),
    ]
    if status.owner is not None:
        lines.append(Text(f"{status.owner.worker} answered, which owns it under claim {status.owner.claim}.", "dim"))
    return Text("\n").join(lines)


def _since(status: TenantStatus) -> str:
    event = f"the event behind it is {status.why.since_event}" if status.why.since_event else ""
    if status.since is None:
        return f"It has been {status.lifecycle} from the beginning" + (f"; {event}." if event else ".")
    return f"It has been {status.lifecycle} since {tables.moment(status.since)}" + (f"; {event}." if event else ".")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
