"""Whether a secret stands in any byte of topics and logs, as it is or in a form that everybody can read."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import quote_from_bytes, quote_plus

from tests.chaos.evidence import Evidence, Finding, Raw

SHIFTS: Final = range(3)
"""Base64 writes three bytes as four characters: what stands before a secret shifts it by none, one or two bytes."""

KEY_BYTES_MIN: Final = 16
"""Bytes that a text must stand for in base64 to be taken for a key: its bytes are as secret as the text."""

SEPARATOR: Final = b"\n"


def check_leaks(evidence: Evidence) -> Iterator[Finding]:
    """Every place in which a secret stands."""
    hidden = {name: forms(secret) for name, secret in evidence.secrets.items()}
    for topic, records in [("events", evidence.events), *evidence.topics.items()]:
        everything = SEPARATOR.join(map(_text, records))
        for name, found in hidden.items():
            present = [form for form in found if form in everything]
            yield from _on_topic(topic, records, name, present)
    for log, text in evidence.logs.items():
        for name, found in hidden.items():
            if any(form in text for form in found):
                yield Finding("secret", f"the log of {log}", name)


def _on_topic(topic: str, records: Sequence[Raw], name: str, present: Sequence[bytes]) -> Iterator[Finding]:
    for record in records if present else ():
        if any(form in _text(record) for form in present):
            yield Finding("secret", f"{topic}:{record.partition}:{record.offset}", name)


def _text(record: Raw) -> bytes:
    return (record.key or b"") + SEPARATOR + (record.value or b"")


def forms(secret: bytes) -> list[bytes]:
    """A secret as it is, and as JSON, URLs, hexadecimal and base64 have it, wherever it stands in them."""
    found = _written(secret)
    try:
        key = b64decode(secret, validate=True)
    except binascii.Error:
        return found
    return found + (_written(key) if len(key) >= KEY_BYTES_MIN else [])


def _written(secret: bytes) -> list[bytes]:
    quoted = quote_from_bytes(secret, safe="")
    everything = "".join(f"%{byte:02X}" for byte in secret)
    found = {secret, *(text.encode() for text in (quoted, quoted.lower(), everything, everything.lower()))}
    found |= {
        quote_plus(secret).encode(),
        secret.hex().encode(),
        secret.hex().upper().encode(),
        repr(secret)[2:-1].encode(),
    }
    found |= {json.dumps(secret.decode("latin-1"))[1:-1].encode()}
    for shift in SHIFTS:
        text = b64encode(bytes(shift) + secret)
        # The characters that tell of nothing but the secret's bytes.
        text = text[-(-shift * 8 // 6) : (shift + len(secret)) * 8 // 6]
        found |= {text, text.replace(b"+", b"-").replace(b"/", b"_")}
    return sorted(found)
