"""``schemas``: writes the JSON Schemas of everything that other programs read and write."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.contract.schemas import generate


def add_to(app: App) -> None:
    """Add this command."""
    app.command(schemas, help_epilogue=example("tenant-connect schemas --directory schemas"))


def schemas(*, directory: Path = Path("schemas"), invocation: Context) -> None:
    """Write the JSON Schemas and the AsyncAPI document.

    Args:
        directory: where they go; what is there under the same names is replaced.
        invocation: its settings, and where it shows its answer.
    """
    written = generate(directory)
    invocation.output.show(Text("\n".join(map(str, written))), [{"path": path} for path in written])
