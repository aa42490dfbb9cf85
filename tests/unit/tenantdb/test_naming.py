from __future__ import annotations

import re

import pytest

from streams.tenantdb.naming import (
    MIGRATION_LOCK_SPACE,
    MIGRATIONS,
    OWN_SESSIONS,
    PROBE,
    TENANT_LOCK_SPACE,
    claim_of,
    lock_key,
    session_name,
)

KEY_OF_T1 = 3_221_495_928_035_372_031


def test_a_claim_travels_in_the_application_name() -> None:
    assert claim_of(session_name(481_516)) == 481_516


@pytest.mark.parametrize(
    "name",
    [None, "", "realtime_connect", PROBE, "realtime_connect:", "realtime_connect:-1", "realtime_connect:1 ", "x"],
)
def test_a_name_without_a_claim_is_not_ours(name: str | None) -> None:
    assert claim_of(name) is None


def test_digits_of_other_scripts_are_no_claim() -> None:
    assert claim_of("realtime_connect:\u0661\u0662") is None


def test_the_largest_claim_fits_into_an_application_name() -> None:
    assert len(session_name(2**63 - 1)) < 64


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("realtime_connect", True),
        (PROBE, True),
        (session_name(7), True),
        (MIGRATIONS, False),
        ("realtime_connector", False),
        ("realtime_connect:7x", False),
        ("", False),
    ],
)
def test_own_sessions_are_the_connection_with_or_without_a_claim_and_the_probe(name: str, own: bool) -> None:
    assert bool(re.search(OWN_SESSIONS, name)) is own


def test_a_lock_key_is_a_signed_64_bit_number_and_the_same_every_time() -> None:
    keys = {lock_key(TENANT_LOCK_SPACE, f"t{number}") for number in range(1000)}
    assert len(keys) == 1000
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert min(keys) < 0 < max(keys)
    # Two versions of the service that run side by side have to agree on it.
    assert lock_key(TENANT_LOCK_SPACE, "t1") == KEY_OF_T1


def test_lock_spaces_do_not_share_keys() -> None:
    assert lock_key(TENANT_LOCK_SPACE, "t1") != lock_key(MIGRATION_LOCK_SPACE, "t1")
