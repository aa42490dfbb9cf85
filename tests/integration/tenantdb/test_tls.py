from __future__ import annotations

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.catalog.entry import Database
from streams.tenantdb.failure import TenantDatabaseFailure
from streams.tenantdb.session import SessionLimits, short_session
from tests.integration.tenantdb.conftest import changed
from tests.integration.tenantdb.listener import tls_in_front_of

pytestmark = pytest.mark.postgres

CERTIFIED_HOST = "localhost"


@dataclass(frozen=True)
class Identity:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def identity(name: str, issuer: Identity | None) -> Identity:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signer = issuer.key if issuer else key
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    return Identity(certificate, key)


@pytest.fixture(scope="module")
def authority() -> Identity:
    return identity("authority", None)


@pytest.fixture
async def encrypting(database: Database, authority: Identity, tmp_path: Path) -> AsyncIterator[Database]:
    """The test's database behind a listener that accepts nothing but TLS, with a certificate for `CERTIFIED_HOST`."""
    server = identity(CERTIFIED_HOST, authority)
    chain = tmp_path / "server.pem"
    chain.write_bytes(server.key_pem + server.pem.encode())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    async with tls_in_front_of(database, context) as port:
        yield changed(database, host=CERTIFIED_HOST, port=port)


async def answers(database: Database, limits: SessionLimits) -> bool:
    async with short_session(database, application_name="test", limits=limits) as session:
        return bool(await session.fetchval("select true"))


async def test_require_encrypts_and_verifies_nothing(encrypting: Database, limits: SessionLimits) -> None:
    assert await answers(changed(encrypting, tls="require"), limits)
    assert await answers(changed(encrypting, tls="require", host="127.0.0.1"), limits)


async def test_disable_does_not_encrypt(encrypting: Database, limits: SessionLimits) -> None:
    with pytest.raises(TenantDatabaseFailure):
        await answers(changed(encrypting, tls="disable"), limits)


async def test_verify_full_accepts_the_authority_and_the_host_of_the_entry(
    encrypting: Database, limits: SessionLimits, authority: Identity
) -> None:
    assert await answers(changed(encrypting, tls="verify-full", ca=authority.pem), limits)


async def test_verify_full_refuses_another_host(
    encrypting: Database, limits: SessionLimits, authority: Identity
) -> None:
    with pytest.raises(TenantDatabaseFailure, match="mismatch"):
        await answers(changed(encrypting, tls="verify-full", ca=authority.pem, host="127.0.0.1"), limits)


@pytest.mark.parametrize("given", [True, False])
async def test_verify_full_refuses_a_certificate_of_another_authority(
    encrypting: Database, limits: SessionLimits, given: bool
) -> None:
    other = identity("another", None).pem if given else None
    with pytest.raises(TenantDatabaseFailure, match="CERTIFICATE_VERIFY_FAILED"):
        await answers(changed(encrypting, tls="verify-full", ca=other), limits)
