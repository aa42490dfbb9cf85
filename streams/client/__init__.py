"""The client library: `ConnectClient` for asyncio, `BlockingConnectClient` for everybody else."""

from __future__ import annotations

from streams.client.blocking import BlockingConnectClient
from streams.client.client import ConnectClient
from streams.client.refusals import Answered

__all__ = ["Answered", "BlockingConnectClient", "ConnectClient"]
