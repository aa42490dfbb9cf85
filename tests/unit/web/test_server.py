from __future__ import annotations

import asyncio
import socket
from urllib.parse import urlsplit

import aiohttp
import pytest

from streams.cli.failure import exit_code_of
from streams.errors import AddressUnavailable, SettingsInvalid
from streams.settings import Settings
from streams.web.server import OFF
from tests.unit.web.place import LOOPBACK, Place, ask


def has_ipv6() -> bool:
    """Whether this machine can be reached over IPv6."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


async def test_any_free_port_is_found_and_told(place: Place) -> None:
    async with place.served(port=0) as first, place.served(port=0) as second:
        assert first != second
        assert urlsplit(first).hostname == LOOPBACK
        assert (await ask(f"{first}/health/live")).status == (await ask(f"{second}/health/live")).status == 200


async def test_a_taken_port_is_an_error_with_a_remedy_and_exit_code_2(place: Place) -> None:
    async with place.served() as url:
        port = urlsplit(url).port
        assert port is not None
        with pytest.raises(AddressUnavailable, match=f"{LOOPBACK}, port {port}") as caught:
            await place.server(port=port).start()
        assert (await ask(f"{url}/health/live")).status == 200
    assert exit_code_of(caught.value) == 2
    assert "TENANT_CONNECT_HTTP_PORT" in caught.value.remedy


@pytest.mark.parametrize("host", ["192.0.2.1", "a..b"])
async def test_a_host_that_is_not_ours_is_the_same_error(place: Place, host: str) -> None:
    server = place.server(host)
    with pytest.raises(AddressUnavailable, match=host):
        await server.start()
    assert server.url is None
    await server.close()


async def test_a_port_that_was_let_go_can_be_taken_at_once(place: Place) -> None:
    async with place.served() as url:
        assert (await ask(f"{url}/health/live")).status == 200
    async with place.served(port=urlsplit(url).port or 0) as again:
        assert again == url


async def test_nothing_listens_where_it_is_off(place: Place) -> None:
    server = place.server(port=OFF)
    await server.start()
    assert server.url is None
    await server.close()


async def test_a_server_is_closed_once_however_often_it_is_asked_to(place: Place) -> None:
    server = place.server()
    await server.start()
    url = server.url
    await server.close()
    await server.close()
    assert server.url is None
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(f"{url}/health/live")


async def test_a_server_that_was_never_started_can_be_closed(place: Place) -> None:
    await place.server().close()


async def test_an_open_connection_does_not_keep_the_server(place: Place) -> None:
    async with aiohttp.ClientSession() as session, place.served() as url:
        async with session.get(f"{url}/health/live") as response:
            assert response.status == 200
        reader, writer = await asyncio.open_connection(LOOPBACK, urlsplit(url).port)
    assert await reader.read() == b""
    writer.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
async def test_an_address_of_ipv6_is_told_in_brackets(place: Place) -> None:
    async with place.served("::1") as url:
        assert url.startswith("http://[::1]:")
        assert (await ask(f"{url}/health/live")).status == 200


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    settings = Settings()
    assert (settings.http_host, settings.http_port) == (LOOPBACK, 8800)


@pytest.mark.parametrize("port", ["-2", "65536", "", "off"])
def test_a_port_is_one_or_any_or_none(port: str) -> None:
    with pytest.raises(SettingsInvalid, match="TENANT_CONNECT_HTTP_PORT"):
        Settings.load({"TENANT_CONNECT_HTTP_PORT": port})
    assert Settings.load({"TENANT_CONNECT_HTTP_PORT": "-1"}).http_port == OFF
    assert Settings.load({"TENANT_CONNECT_HTTP_PORT": "0"}).http_port == 0


@pytest.mark.parametrize("host", ["", "[::1]", "a b", "http://here", "x" * 254])
def test_a_host_is_a_name_or_an_address(host: str) -> None:
    with pytest.raises(SettingsInvalid, match="TENANT_CONNECT_HTTP_HOST"):
        Settings.load({"TENANT_CONNECT_HTTP_HOST": host})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "fe80::1%eth0", "worker-1.example"])  # noqa: S104  never listened on
def test_hosts_that_are_taken(host: str) -> None:
    assert Settings.load({"TENANT_CONNECT_HTTP_HOST": host}).http_host == host
