"""``users``: reporting by hand what gateways report by themselves."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import App, Parameter, validators
from rich.text import Text

from streams.cli.guidance import example
from streams.cli.invocation import Context, Invocation
from streams.client.client import ConnectClient
from streams.wire.users import TIME_TO_LIVE_MS, TIME_TO_LIVE_MS_MAX, USERS_MAX

Users = Annotated[int, Parameter(validator=validators.Number(gte=0, lte=USERS_MAX))]
TimeToLive = Annotated[int, Parameter(validator=validators.Number(gt=0, lte=TIME_TO_LIVE_MS_MAX))]

group = App(
    name="users",
    help="Who uses the tenants, as gateways report it.",
    help_epilogue=example("tenant-connect users report t1 --gateway g1 --users 12"),
)


def add_to(app: App) -> None:
    """Add these commands."""
    app.command(group)


@group.command(
    help_epilogue=example(
        "tenant-connect users report t1 --gateway g1 --users 12",
        "tenant-connect users report t1 --gateway g1 --users 0 --json",
    )
)
def report(
    tenant: str, /, *, gateway: str, users: Users, ttl_ms: TimeToLive = TIME_TO_LIVE_MS, invocation: Context
) -> None:
    """Report how many users of a tenant a gateway has now; `status` shows the sum over all gateways.

    Args:
        tenant: its id.
        gateway: name of the gateway; its next report takes the place of this one.
        users: how many; 0 says that the last one has left.
        ttl_ms: milliseconds that the report holds, unless the gateway reports again.
        invocation: its settings, and where it shows its answer.
    """
    asyncio.run(_report(invocation, tenant, gateway, users, ttl_ms))
    people = f"{gateway} has {users} {'user' if users == 1 else 'users'} of {tenant}; this holds for {ttl_ms} ms."
    record = {"tenant": tenant, "gateway": gateway, "users": users, "ttl_ms": ttl_ms}
    invocation.output.show(Text(people), [record])


async def _report(invocation: Invocation, tenant: str, gateway: str, users: int, ttl_ms: int) -> None:
    async with ConnectClient(invocation.settings) as client:
        await client.report_users(tenant, users, gateway=gateway, ttl_ms=ttl_ms)
