"""Databases for tenants on a local PostgreSQL server, prepared so that an ordinary role can migrate them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

PASSWORD_BYTES: Final = 24
"""How much chance is in a password made here."""

CONNECT_SECONDS: Final = 10.0
"""How long a connection of the superuser may take."""

ROLES: Final = {
    "anon": "NOLOGIN NOINHERIT",
    "authenticated": "NOLOGIN NOINHERIT",
    "service_role": "NOLOGIN NOINHERIT BYPASSRLS",
    "supabase_realtime_admin": "NOLOGIN NOINHERIT",
}
"""Roles that messages are written, read and owned by. Only a superuser can make all of them, so they are made before an
ordinary role migrates; on a tenant's own server the platform has made them."""


@dataclass(frozen=True, slots=True)
class Superuser:
    """A superuser of a PostgreSQL server, and where that is."""

    host: str
    port: int
    user: str
    password: str

    def __repr__(self) -> str:
        return f"Superuser({self.user}@{self.host}:{self.port})"

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        """Open a connection to a database; the caller closes it."""
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            timeout=CONNECT_SECONDS,
        )


async def create_tenant_database(superuser: Superuser, name: str) -> dict[str, Any]:
    """Create a database and the role that owns it, both under ``name``, ready for the service's migrations.

    Args:
        superuser: of the server it is made on.
        name: there must be no database and no role of that name.

    Returns:
        The ``database`` part of a catalog entry; the password is in it.
    """
    password = secrets.token_urlsafe(PASSWORD_BYTES)
    connection = await superuser.connect()
    try:
        # A statement that fails is logged by the server; one that holds a password must not be.
        await connection.execute("SET log_min_error_statement = panic")
        await _create_roles(connection)
        role = "CREATE ROLE %I LOGIN REPLICATION IN ROLE supabase_realtime_admin PASSWORD %L"
        await connection.execute(await _quoted(connection, role, name, password))
        await connection.execute(await _quoted(connection, "CREATE DATABASE %I OWNER %I", name, name))
    finally:
        await connection.close()
    address = {"host": superuser.host, "port": superuser.port}
    return {**address, "name": name, "user": name, "password": password, "tls": "disable"}


async def _create_roles(connection: asyncpg.Connection) -> None:
    there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_catalog.pg_roles")}
    for role, options in ROLES.items():
        if role not in there:
            await connection.execute(f"CREATE ROLE {role} {options}")


async def _quoted(connection: asyncpg.Connection, statement: str, *names: str) -> str:
    # Statements that define things take no parameters, so the server quotes the names and the password.
    places = ", ".join(f"${number}::text" for number in range(2, 2 + len(names)))
    return str(await connection.fetchval(f"SELECT pg_catalog.format($1::text, {places})", statement, *names))
