"""The HTTP server of a worker."""

from __future__ import annotations

import errno
import os
from typing import Final

import structlog
from aiohttp import web

from streams.errors import AddressUnavailable
from streams.metrics.metrics import Metrics
from streams.metrics.rebuild import Readiness
from streams.web.figures import FiguresPage
from streams.web.health import Health
from streams.web.replies import failures_as_json

log = structlog.get_logger(__name__)

OFF: Final = -1
"""The port that stands for none."""

STOP_TIMEOUT_S: Final = 0.5
"""Seconds that answers which are being given may take once the server is closed, and then to be cancelled."""

KEEPALIVE_S: Final = 75.0
"""Seconds that a connection is kept for another request."""

REQUEST_BYTES_MAX: Final = 65_536
"""Bytes of a request's body."""


def application(readiness: Readiness, metrics: Metrics) -> web.Application:
    """Everything that is served, by path."""
    health = Health(readiness)
    served = web.Application(middlewares=[failures_as_json], client_max_size=REQUEST_BYTES_MAX)
    served.router.add_get("/health/live", health.live)
    served.router.add_get("/health/ready", health.ready)
    served.router.add_get("/metrics", FiguresPage(metrics).answer)
    return served


class WebServer:
    """Serves health and metrics.

    Attributes:
        url: where it listens; None before it is started, and where it is off.

    Args:
        host: name or address to listen on.
        port: 0 for any free one, `OFF` for none.
        readiness: how far the worker is.
        metrics: its figures.
    """

    def __init__(self, host: str, port: int, readiness: Readiness, metrics: Metrics) -> None:
        self.url: str | None = None
        self._host = host
        self._port = port
        self._runner = web.AppRunner(
            application(readiness, metrics),
            access_log=None,
            handle_signals=False,
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=STOP_TIMEOUT_S,
        )

    async def start(self) -> None:
        """Listen, unless it is off.

        Raises:
            AddressUnavailable: the address is taken, not ours, or not one.
        """
        if self._port == OFF:
            return
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except (OSError, UnicodeError) as error:
            await self._runner.cleanup()
            raise AddressUnavailable(f"cannot listen on {self._host}, port {self._port}: {_reason(error)}") from error
        self.url = _url(*self._runner.addresses[0][:2])
        log.info("web.listening", url=self.url)

    async def close(self) -> None:
        """Listen no more; answers that are being given are finished within `STOP_TIMEOUT_S`, or cancelled."""
        self.url = None
        await self._runner.cleanup()


def _reason(error: OSError | UnicodeError) -> str:
    """What the system says; a name that cannot be looked up has a number that is not the system's."""
    number = error.errno if isinstance(error, OSError) else None
    return str(error) if number is None or number not in errno.errorcode else os.strerror(number)


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
