"""The figures of a worker over HTTP."""

from __future__ import annotations

import asyncio

from aiohttp import web

from streams.metrics.metrics import Metrics
from streams.web.replies import FRESH


class FiguresPage:
    """Answers Prometheus.

    Args:
        metrics: the figures.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Writing keeps a thread busy for milliseconds; whoever asks at the same time waits for the next turn.
        self._turn = asyncio.Lock()

    async def answer(self, request: web.Request) -> web.Response:
        """``GET /metrics``: every figure as text, as OpenMetrics where the reader asks for it."""
        async with self._turn:
            figures = self._metrics.look()
            content_type, body = await asyncio.to_thread(figures.write, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={**FRESH, "Content-Type": content_type})
