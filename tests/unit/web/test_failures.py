from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import pytest

from tests.unit.web.place import Place, ask


@pytest.mark.parametrize("path", ["/", "/nowhere", "/health", "/health/live/", "/metrics/t1"])
async def test_a_path_that_is_not_served_is_answered_with_those_that_are(place: Place, path: str) -> None:
    async with place.served() as url:
        answer = await ask(url + path)
    assert answer.status == 404
    error = answer.body["error"]
    assert error["code"] == "not_found"
    assert error["message"] == f"nothing is served at {path}; try /health/live, /health/ready, /metrics"


async def test_a_long_path_is_not_repeated_in_full(place: Place) -> None:
    async with place.served() as url:
        answer = await ask(f"{url}/{'x' * 2000}")
    assert answer.status == 404
    assert len(answer.text) < 300


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_what_can_only_be_read_says_so(place: Place, method: str) -> None:
    async with place.served() as url:
        answer = await ask(f"{url}/metrics", method)
    assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert answer.body["error"] == {"code": "method_not_allowed", "message": f"/metrics takes GET, HEAD, not {method}"}


async def test_whether_it_lives_can_be_asked_without_a_body(place: Place) -> None:
    async with place.served() as url:
        answer = await ask(f"{url}/health/live", "HEAD")
    assert (answer.status, answer.text) == (200, "")


async def test_bytes_that_are_no_request_are_refused_and_the_next_is_answered(place: Place) -> None:
    async with place.served() as url:
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(b"\x16\x03\x01 this is no HTTP\r\n\r\n")
        status_line = await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert b" 400 " in status_line
        assert (await ask(f"{url}/health/live")).status == 200
