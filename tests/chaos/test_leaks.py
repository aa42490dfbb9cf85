"""A secret is found in whatever form everybody can read it."""

from __future__ import annotations

from base64 import b64decode, b64encode, urlsafe_b64encode
from urllib.parse import quote

import pytest

from tests.chaos.checker import check
from tests.chaos.histories import PARTITIONS, PASSWORD, TENANT, Written, right

KEY = b64encode(bytes(range(200, 232)))
"""A key as settings have it."""

URL = b"postgres://user:%s@host/" % quote("a+pass/word of t1", safe="").encode()

LEAKS = {
    "a password": (PASSWORD, PASSWORD),
    "a password in base64": (PASSWORD, b64encode(PASSWORD)),
    "a password in base64 behind something": (PASSWORD, b64encode(b"user:" + PASSWORD + b"@host")),
    "a password in base64 behind something longer": (PASSWORD, urlsafe_b64encode(b"a user:" + PASSWORD + b"\xff\xfe")),
    "a password in a URL": (b"a+pass/word of t1", URL),
    "a password in hexadecimal": (PASSWORD, PASSWORD.hex().encode()),
    "a password with a quote in JSON": (b'a"password\\of t1', rb'{"x": "a\"password\\of t1"}'),
    "a key as settings have it": (KEY, b"key " + KEY),
    "the bytes of a key": (KEY, b"<" + b64decode(KEY) + b">"),
    "a key in hexadecimal": (KEY, b64decode(KEY).hex().encode()),
    "a key in base64 for URLs": (KEY, urlsafe_b64encode(b64decode(KEY))),
}


def harmed(secret: bytes) -> Written:
    written = right()
    written.evidence.secrets["a secret"] = secret
    return written


def found(written: Written) -> set[str]:
    return {finding.rule for finding in check(written.evidence, PARTITIONS)}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_secret_in_a_log_is_found(leak: str) -> None:
    secret, text = LEAKS[leak]
    written = harmed(secret)

    written.evidence.logs["w1"] += b"\n" + text

    assert found(written) == {"secret"}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_secret_on_a_topic_is_found(leak: str) -> None:
    secret, text = LEAKS[leak]
    written = harmed(secret)
    written.put("positions", TENANT, {})

    records = written.evidence.topics["positions"]
    records[0] = records[0]._replace(value=b"{" + text + b"}")

    assert found(written) == {"secret"}


def test_nothing_is_found_where_no_secret_stands() -> None:
    written = harmed(KEY)

    written.evidence.logs["w1"] += b64encode(b"another password") + b64encode(bytes(32))

    assert found(written) == set()
