from __future__ import annotations

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from streams.catalog.crypto import Cipher, Envelope, new_key
from streams.errors import CredentialsUnreadable, SettingsInvalid

TEXT = b'{"password": "hunter2"}'
KEYS = {name: SecretStr(new_key()) for name in ("old", "new")}
OLD = Cipher({"old": KEYS["old"]})
ROTATED = Cipher({"new": KEYS["new"], "old": KEYS["old"]})
NEW = Cipher({"new": KEYS["new"]})

tenants = st.text(min_size=1, max_size=128)


def changed(envelope: Envelope, **fields: str | bytes) -> Envelope:
    return Envelope.model_validate({**envelope.model_dump(), **fields})


@given(tenants, st.binary(max_size=500))
def test_what_was_encrypted_for_a_tenant_opens_for_it(tenant: str, text: bytes) -> None:
    envelope = Envelope.model_validate_json(OLD.encrypt(tenant, text).model_dump_json())
    assert OLD.decrypt(tenant, envelope) == text


@given(tenants, tenants)
def test_a_ciphertext_moved_to_another_tenant_does_not_open(owner: str, other: str) -> None:
    assume(owner != other)
    envelope = OLD.encrypt(owner, TEXT)
    with pytest.raises(CredentialsUnreadable, match="belong to another tenant"):
        OLD.decrypt(other, envelope)


@given(st.integers(0), st.integers(0, 7), st.sampled_from(["nonce", "ciphertext"]))
def test_one_changed_bit_anywhere_is_noticed(place: int, bit: int, field: str) -> None:
    envelope = OLD.encrypt("t1", TEXT)
    data = bytearray(getattr(envelope, field))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(CredentialsUnreadable):
        OLD.decrypt("t1", changed(envelope, **{field: base64.b64encode(data)}))


def test_after_a_rotation_the_first_key_writes_and_every_key_reads() -> None:
    before, after = OLD.encrypt("t1", TEXT), ROTATED.encrypt("t1", TEXT)
    assert (before.key, after.key) == ("old", "new")
    assert ROTATED.decrypt("t1", before) == ROTATED.decrypt("t1", after) == NEW.decrypt("t1", after) == TEXT


def test_a_missing_key_is_named() -> None:
    with pytest.raises(CredentialsUnreadable, match="written with key 'old'"):
        NEW.decrypt("t1", OLD.encrypt("t1", TEXT))


def test_another_key_under_the_same_id_does_not_open() -> None:
    with pytest.raises(CredentialsUnreadable, match="another one under the same id"):
        Cipher({"old": SecretStr(new_key())}).decrypt("t1", OLD.encrypt("t1", TEXT))


def test_the_same_text_is_never_the_same_ciphertext() -> None:
    envelopes = [OLD.encrypt("t1", TEXT) for _ in range(100)]
    assert len({envelope.nonce for envelope in envelopes}) == len(envelopes)
    assert len({envelope.ciphertext for envelope in envelopes}) == len(envelopes)


def test_without_a_key_nothing_is_encrypted_and_the_setting_is_named() -> None:
    with pytest.raises(SettingsInvalid, match="TENANT_CONNECT_ENCRYPTION_KEYS is empty"):
        Cipher({}).encrypt("t1", TEXT)


def test_a_cipher_shows_the_ids_of_its_keys_only() -> None:
    assert repr(ROTATED) == "Cipher(keys=['new', 'old'])"


def test_a_new_key_is_32_bytes_and_new() -> None:
    keys = {new_key() for _ in range(10)}
    assert len(keys) == 10
    assert all(len(base64.b64decode(key)) == 32 for key in keys)
