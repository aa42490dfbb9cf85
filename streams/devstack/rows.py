"""Rows of `realtime.messages` on a local PostgreSQL, written as an application writes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import asyncpg

from streams.devstack.tenant_database import Superuser
from streams.errors import InputInvalid, StackFailed

SEND: Final = "select realtime.send($1::jsonb, $2, $3, false)"

_NOT_MIGRATED: Final = (asyncpg.UndefinedFunctionError, asyncpg.InvalidSchemaNameError)
"""What PostgreSQL says of a function that is not there, and of its schema."""


async def send_rows(superuser: Superuser, database: str, topic: str, event: str, payloads: Sequence[str]) -> None:
    """Write rows, one transaction each.

    Args:
        superuser: of the server.
        database: its name.
        topic: of each row.
        event: of each row.
        payloads: JSON, one a row.

    Raises:
        InputInvalid: there is no such database, it was never connected, or a payload is no JSON.
        StackFailed: the server does not answer.
    """
    try:
        connection = await superuser.connect(database)
    except asyncpg.InvalidCatalogNameError as error:
        problem = f"there is no database {database!r} on the local PostgreSQL"
        raise InputInvalid(f"{problem}; `tenant-connect dev tenant {database}` makes it") from error
    except (OSError, asyncpg.PostgresError) as error:
        raise StackFailed(f"PostgreSQL does not take a connection: {error or type(error).__name__}") from error
    try:
        for payload in payloads:
            await connection.execute(SEND, payload, event, topic)
    except _NOT_MIGRATED as error:
        raise InputInvalid(
            f"database {database!r} is not migrated yet; `tenant-connect connect {database}` migrates it"
        ) from error
    except asyncpg.InvalidTextRepresentationError as error:
        raise InputInvalid(f"the payload is no JSON: {'; '.join(str(error).splitlines())}") from error
    finally:
        await connection.close()
