"""How libpq is told where a tenant's server is, and how the connection is secured."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from streams.catalog.entry import Database, Tls
from streams.tenantdb.transport import KEEPALIVE_IDLE_SECONDS, KEEPALIVE_INTERVAL_SECONDS, KEEPALIVE_PROBES

SYSTEM_AUTHORITIES: Final = "system"
"""How libpq is told to use what its OpenSSL was built with."""

NO_FILE: Final = f"{os.devnull}/none"
"""A file that cannot be: libpq would look for certificates in the home directory of whoever runs the service."""

SERVER_OPTIONS: Final = (
    # A slot's exported snapshot lives in a transaction that is idle while rows are read back under it.
    "-c idle_in_transaction_session_timeout=0 -c idle_session_timeout=0 -c statement_timeout=0 -c lock_timeout=0 "
    "-c search_path=pg_catalog"
)


@contextmanager
def parameters(database: Database, address: str, application_name: str) -> Iterator[dict[str, Any]]:
    """Parameters of one connection, good for as long as it is entered: the entry's authority lies in a file till then.

    Args:
        database: where to, as whom, and how it is secured.
        address: one of the host's addresses; libpq resolves no name, as that would block.
        application_name: how the session shows in `pg_stat_activity`; at most 63 characters.

    Source: https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
    """
    with _authorities(database) as authorities:
        yield {
            "host": database.host,
            "hostaddr": address,
            "port": database.port,
            "user": database.user,
            "password": database.password.get_secret_value(),
            "dbname": database.name,
            "application_name": application_name,
            "sslmode": database.tls.value,
            "sslrootcert": authorities,
            "sslcert": NO_FILE,
            "sslkey": NO_FILE,
            "sslcrl": NO_FILE,
            "gssencmode": "disable",
            "target_session_attrs": "any",
            "options": SERVER_OPTIONS,
            "keepalives": 1,
            "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
            "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
            "keepalives_count": KEEPALIVE_PROBES,
        }


@contextmanager
def _authorities(database: Database) -> Iterator[str]:
    """What to verify the server with: a file, or libpq's word for its own."""
    if database.tls is not Tls.VERIFY_FULL:
        yield NO_FILE
    elif database.ca is None:
        yield ssl.get_default_verify_paths().cafile or SYSTEM_AUTHORITIES
    else:
        with tempfile.TemporaryDirectory(prefix="tenant-connect-authority-") as directory:
            path = Path(directory) / "authority.pem"
            path.write_text(database.ca, encoding="utf-8")
            yield str(path)
