from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from streams.catalog.entry import Database
from streams.devstack.postgres import PostgresServer
from streams.tenantdb.address import ADDRESSES_PER_FAMILY_MAX, addresses_of
from streams.tenantdb.failure import Reason, TenantDatabaseFailure
from streams.tenantdb.session import SessionLimits, short_session
from tests.integration.tenantdb.conftest import changed, entry_of
from tests.integration.tenantdb.listener import listening, say_nothing
from tests.integration.tenantdb.resolver import Resolve

pytestmark = pytest.mark.postgres

NAME = "both.test"
IPV4, IPV6 = "127.0.0.1", "::1"


@contextmanager
def server_at(directory: Path, host: str, listen: str) -> Iterator[PostgresServer]:
    server = PostgresServer(directory, fsync=False, settings={"listen_addresses": listen})
    server.host = host
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture
def ipv6() -> None:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind((IPV6, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")


async def address_used(database: Database, limits: SessionLimits) -> str:
    async with short_session(database, application_name="test", limits=limits) as session:
        return str(await session.fetchval("select host(inet_server_addr())"))


@pytest.mark.usefixtures("ipv6")
async def test_of_a_server_with_both_kinds_of_addresses_ipv6_is_used(
    tmp_path: Path, limits: SessionLimits, resolve: Resolve
) -> None:
    resolve(NAME, IPV4, IPV6)
    with server_at(tmp_path, IPV4, f"{IPV4},{IPV6}") as server:
        assert await address_used(entry_of(server, host=NAME), limits) == IPV6


@pytest.mark.usefixtures("ipv6")
async def test_a_server_that_has_ipv6_alone_is_reached(tmp_path: Path, limits: SessionLimits, resolve: Resolve) -> None:
    resolve(NAME, IPV4, IPV6)
    with server_at(tmp_path, IPV6, IPV6) as server:
        assert await address_used(entry_of(server, host=NAME), limits) == IPV6
        assert await address_used(entry_of(server, host=IPV6), limits) == IPV6


async def test_a_server_that_has_ipv4_alone_is_reached_by_it_after_ipv6_was_refused(
    postgres: PostgresServer, limits: SessionLimits, resolve: Resolve
) -> None:
    resolve(NAME, IPV6, IPV4)
    assert await address_used(entry_of(postgres, host=NAME), limits) == IPV4


@pytest.mark.usefixtures("ipv6")
async def test_an_ipv6_address_that_does_not_answer_leaves_time_for_ipv4(
    postgres: PostgresServer, resolve: Resolve
) -> None:
    resolve(NAME, IPV6, IPV4)
    async with listening(say_nothing, IPV6, postgres.port):
        assert await address_used(entry_of(postgres, host=NAME), SessionLimits(connect_ms=4_000)) == IPV4


async def test_every_address_that_was_tried_is_named(
    postgres: PostgresServer, limits: SessionLimits, resolve: Resolve
) -> None:
    resolve(NAME, IPV4, IPV6)
    stopped = changed(entry_of(postgres, host=NAME), port=1)
    with pytest.raises(TenantDatabaseFailure) as caught:
        await address_used(stopped, limits)
    assert caught.value.reason is Reason.UNAVAILABLE
    said = str(caught.value)
    assert said.index(f"tried {IPV6}: ") < said.index(f"; {IPV4}: ConnectionRefusedError")


async def test_many_addresses_of_one_kind_do_not_crowd_the_other_out(
    postgres: PostgresServer, resolve: Resolve
) -> None:
    many = [f"2001:db8::{number}" for number in range(1, 3 * ADDRESSES_PER_FAMILY_MAX)]
    resolve(NAME, *many, IPV4)
    assert await addresses_of(entry_of(postgres, host=NAME)) == (*many[:ADDRESSES_PER_FAMILY_MAX], IPV4)


async def test_an_address_stands_for_itself(postgres: PostgresServer) -> None:
    assert await addresses_of(entry_of(postgres, host="192.0.2.7")) == ("192.0.2.7",)
