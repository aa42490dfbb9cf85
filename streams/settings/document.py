"""The page of settings in the documentation, made from the settings themselves."""

from __future__ import annotations

from streams.settings.database import DatabaseSettings
from streams.settings.description import shown_default, variable_name
from streams.settings.kafka import KafkaSettings
from streams.settings.lifecycle import LifecycleSettings
from streams.settings.place import PlaceSettings
from streams.settings.recovery import RecoverySettings
from streams.settings.replication import ReplicationSettings
from streams.settings.theme import Theme
from streams.settings.worker import WorkerSettings

THEMES: tuple[type[Theme], ...] = (
    KafkaSettings,
    PlaceSettings,
    WorkerSettings,
    RecoverySettings,
    DatabaseSettings,
    LifecycleSettings,
    ReplicationSettings,
)

INTRODUCTION = """\
# Settings

Every setting is an environment variable and a flag of the same name: `TENANT_CONNECT_HTTP_PORT=8800` and
`--http-port 8800` say the same, and the flag wins. `tenant-connect settings` prints what is in force, and where each
value came from, with secrets masked. An unknown `TENANT_CONNECT_*` variable or a bad value stops the program with exit
code 2 and names it.
"""


def markdown() -> str:
    """The page ``docs/settings.md``: one table a theme."""
    return "\n".join([INTRODUCTION, *(_table(theme) for theme in THEMES)])


def _table(theme: type[Theme]) -> str:
    title = (theme.__doc__ or theme.__name__).strip().rstrip(".")
    rows = [
        f"| `{variable_name(field)}` | {_code(shown_default(info))} | {_cell(info.description or '')} |"
        for field, info in theme.model_fields.items()
    ]
    return "\n".join([f"## {title}", "", "| variable | default | meaning |", "|---|---|---|", *rows, ""])


def _code(text: str) -> str:
    return f"`{_cell(text)}`" if text else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
