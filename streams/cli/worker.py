"""``worker``: owns partitions of the region and holds the connections of their tenants."""

from __future__ import annotations

import asyncio
import sys

from cyclopts import App

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.cli.logs import LogLevel, configure_logs
from streams.kafka.administration import require_agreement


def add_to(app: App) -> None:
    """Add this command."""
    app.command(
        worker,
        help_epilogue=example(
            "tenant-connect worker",
            "tenant-connect worker --region us-east-1 --worker-name w1 --log-level debug",
        ),
    )


def worker(*, log_level: LogLevel = LogLevel.INFO, invocation: Context) -> None:
    """Run a worker until SIGTERM or Ctrl-C; a second signal ends it at once.

    It logs to standard error: for people on a terminal, one JSON object a line anywhere else. `worker.ready` says which
    partitions it owns, each time that changes. It does not start where Kafka's topics differ from their declaration.

    Args:
        log_level: the least severe lines that are written.
        invocation: its settings, and where it shows its answer.
    """
    settings = invocation.settings
    require_agreement(settings)
    configure_logs(log_level, sys.stderr)
    # Only this command needs the stream engine, and importing it takes longer than most others run.
    from streams.cli.running import run_worker  # noqa: PLC0415 - see above

    asyncio.run(run_worker(settings))
