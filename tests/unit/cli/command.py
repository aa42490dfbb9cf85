"""The command line run within this process: for what needs no Kafka."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

from streams.cli.main import run


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Standard output, read line by line as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


def call(*arguments: str, **settings: str) -> Ended:
    """Run a command with these settings in its environment."""
    out, err = io.StringIO(), io.StringIO()
    environ = {f"TENANT_CONNECT_{name.upper()}": value for name, value in settings.items()}
    code = run(arguments, environ, out, err)
    return Ended(code, out.getvalue(), err.getvalue())
