"""What a worker serves, as a probe and a Prometheus read it."""

from __future__ import annotations

from typing import Any, NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families as parse

from streams.settings import Settings


class Page(NamedTuple):
    """An answer.

    Attributes:
        status: of HTTP.
        text: the body.
        body: the body read as JSON; None where it is not.
    """

    status: int
    text: str
    body: Any


class Pages:
    """The pages of the worker that the settings describe."""

    def __init__(self, settings: Settings) -> None:
        self._url = f"http://{settings.http_host}:{settings.http_port}"

    async def get(self, path: str) -> Page | None:
        """The page, None where nobody listens."""
        try:
            async with aiohttp.ClientSession() as session, session.get(self._url + path) as response:
                body = await response.json() if response.content_type == "application/json" else None
                return Page(response.status, await response.text(), body)
        except aiohttp.ClientConnectorError:
            return None

    async def status(self, path: str) -> int | None:
        """The status of a page, None where nobody listens."""
        page = await self.get(path)
        return None if page is None else page.status

    async def figures(self, name: str) -> dict[tuple[str, ...], float]:
        """The samples of one name that are not 0, by the values of their labels."""
        page = await self.get("/metrics")
        assert page is not None
        samples = (sample for family in parse(page.text) for sample in family.samples)
        return {
            tuple(sample.labels.values()): sample.value for sample in samples if sample.name == name and sample.value
        }
