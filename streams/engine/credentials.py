"""How the consumer under Faust logs in: the settings in Faust's terms."""

from __future__ import annotations

import ssl

from faust.auth import Credentials, SASLCredentials, SSLCredentials

from streams.settings import Settings


def credentials_of(settings: Settings) -> Credentials | None:
    """Faust's credentials, None for a plain connection without a login."""
    protocol = settings.kafka_security_protocol
    context = _context(settings) if protocol.tls else None
    if not protocol.sasl:
        return None if context is None else SSLCredentials(context)
    password = settings.kafka_security_password
    return SASLCredentials(
        username=settings.kafka_security_user,
        password=None if password is None else password.get_secret_value(),
        ssl_context=context,
        mechanism=settings.kafka_security_sasl_mechanism,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    authority = settings.kafka_security_ca
    context = ssl.create_default_context(cafile=None if authority is None else str(authority))
    if settings.kafka_security_certificate is not None:
        context.load_cert_chain(settings.kafka_security_certificate, settings.kafka_security_key)
    return context
