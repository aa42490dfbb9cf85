"""``settings``: every setting with its value, where that came from, and what it means."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter
from rich.text import Text

from streams.catalog import crypto
from streams.cli.guidance import example
from streams.cli.invocation import Context, Invocation
from streams.settings import Setting

KEY_ID = "key-1"
"""Name of a fresh key, as it is printed; its reader is free to choose another."""

VALUE_CHARACTERS_MAX = 80
"""How much of a value people are shown; `--json` has all of it."""


def add_to(app: App) -> None:
    """Add this command."""
    app.command(
        settings,
        help_epilogue=example("tenant-connect settings", 'eval "$(tenant-connect settings --new-key)"'),
    )


def settings(*, new_key: Annotated[bool, Parameter(negative=())] = False, invocation: Context) -> None:
    """Print every setting with its value, origin, default and meaning; secrets are masked.

    Args:
        new_key: print a fresh encryption key instead, as a line for the shell.
        invocation: its settings, and where it shows its answer.
    """
    if new_key:
        _print_key(invocation)
        return
    rows = [_row(invocation, setting) for setting in invocation.settings.describe()]
    invocation.output.show(Text("\n").join(map(_paragraph, rows)), rows)


def _print_key(invocation: Invocation) -> None:
    keys = json.dumps({KEY_ID: crypto.new_key()})
    if invocation.output.as_json:
        invocation.output.record({"TENANT_CONNECT_ENCRYPTION_KEYS": keys})
    else:
        invocation.output.line(f"export TENANT_CONNECT_ENCRYPTION_KEYS={shlex.quote(keys)}")


def _paragraph(row: dict[str, str]) -> Text:
    default = "" if row["value"] == row["default"] else f"; default {_short(row['default']) or 'nothing'}"
    return Text.assemble(
        (row["name"], "bold"),
        f" = {_short(row['value'])}  ",
        (f"({row['origin']}{default})", "" if row["origin"] == "default" else "green"),
        (f"\n    {row['meaning']}", "dim"),
    )


def _short(text: str) -> str:
    return text if len(text) <= VALUE_CHARACTERS_MAX else text[:VALUE_CHARACTERS_MAX] + "…"


def _row(invocation: Invocation, setting: Setting) -> dict[str, str]:
    row = asdict(setting)
    if setting.name in invocation.from_stack:
        row["origin"] = "local stack"
    return {name: row[name] for name in ("name", "value", "origin", "default", "meaning")}
