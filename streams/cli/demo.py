"""``demo``: shows the service at work, from nothing to nothing."""

from __future__ import annotations

from cyclopts import App

from streams.cli.guidance import example
from streams.cli.invocation import Context
from streams.demo.run import run_demo


def add_to(app: App) -> None:
    """Add this command."""
    app.command(demo, help_epilogue=example("tenant-connect demo", "tenant-connect demo --kafka broker:9092"))


def demo(*, invocation: Context) -> None:
    """Show a takeover: two workers, three tenants, one crash, and what the log says about it.

    It brings its own Kafka and PostgreSQL and removes them at the end. With TENANT_CONNECT_KAFKA set it uses that
    broker, under topic names of its own, which it removes at the end as well.
    """
    run_demo(invocation.given, invocation.environ, invocation.flags, invocation.output)
