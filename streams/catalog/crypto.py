"""Encryption of credentials: AES-256-GCM, bound to the tenant they belong to.

Source: NIST SP 800-38D. A nonce is 96 random bits, which section 8.3 permits for 2^32 records of one key.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, SecretStr

from streams.errors import CredentialsUnreadable, SettingsInvalid

KEY_BITS: Final = 256
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16


class Envelope(BaseModel):
    """Ciphertext, and what is needed to read it but the key. Bytes are base64 in JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["A256GCM"] = "A256GCM"
    key: str = Field(min_length=1, description="id of the key that wrote it")
    nonce: Annotated[Base64Bytes, Field(min_length=NONCE_BYTES, max_length=NONCE_BYTES, description="96 random bits")]
    ciphertext: Annotated[Base64Bytes, Field(min_length=TAG_BYTES, description="encrypted JSON, then the tag")]


class Cipher:
    """Encrypts with the first key and decrypts with any; the tenant id is the associated data.

    Keys are rotated by putting a new one first, writing every entry again, and only then taking the old one away.

    Args:
        keys: key id → base64 of 32 bytes, as in ``TENANT_CONNECT_ENCRYPTION_KEYS``.
    """

    def __init__(self, keys: Mapping[str, SecretStr]) -> None:
        self._ciphers = {
            key_id: AESGCM(base64.b64decode(key.get_secret_value(), validate=True)) for key_id, key in keys.items()
        }

    def __repr__(self) -> str:
        return f"Cipher(keys={list(self._ciphers)})"

    def encrypt(self, tenant: str, text: bytes) -> Envelope:
        """Ciphertext that only opens for the same tenant.

        Raises:
            SettingsInvalid: there is no key.
        """
        key_id = next(iter(self._ciphers), None)
        if key_id is None:
            raise SettingsInvalid(
                "TENANT_CONNECT_ENCRYPTION_KEYS is empty, so credentials cannot be stored. "
                f'Set it to {{"k1": "KEY"}}, where KEY is base64 of {KEY_BITS // 8} random bytes, and keep a copy'
            )
        nonce = secrets.token_bytes(NONCE_BYTES)
        ciphertext = self._ciphers[key_id].encrypt(nonce, text, tenant.encode())
        return Envelope(key=key_id, nonce=base64.b64encode(nonce), ciphertext=base64.b64encode(ciphertext))

    def decrypt(self, tenant: str, envelope: Envelope) -> bytes:
        """The text that was encrypted for this tenant.

        Raises:
            CredentialsUnreadable: the key is not here, or the ciphertext is another tenant's or was changed.
        """
        cipher = self._ciphers.get(envelope.key)
        if cipher is None:
            raise CredentialsUnreadable(
                f"the credentials of tenant {tenant} were written with key {envelope.key!r}, "
                "which TENANT_CONNECT_ENCRYPTION_KEYS does not have"
            )
        try:
            return cipher.decrypt(envelope.nonce, envelope.ciphertext, tenant.encode())
        except InvalidTag:
            raise CredentialsUnreadable(
                f"the credentials of tenant {tenant} do not open with key {envelope.key!r}: they belong to another "
                "tenant, were changed, or the key is another one under the same id"
            ) from None


def new_key() -> str:
    """A fresh key, base64 of 32 bytes, as it stands in ``TENANT_CONNECT_ENCRYPTION_KEYS``."""
    return base64.b64encode(AESGCM.generate_key(KEY_BITS)).decode()
