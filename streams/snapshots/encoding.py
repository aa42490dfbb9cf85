"""Snapshots as bytes: one record per tenant and one heading, each with a checksum over all that is in it.

JSON and not MessagePack: it keeps a time's offset from UTC as the event had it, and costs 0.1 µs more a state.

What is under one heading is one snapshot: the number of its tenants and sums over their last events stand in the
heading, so a record that is missing, or was left over from another snapshot, does not add up.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from statemachine.partition import Claim
from statemachine.state import TenantState
from streams.snapshots.doubt import Doubt
from streams.snapshots.version import version

FORMAT: Final = 1
"""How headings and records are laid out; the version says what is in them."""

FORMAT_BYTES: Final = 2
CHECKSUM_BYTES: Final = 8
SALT_BYTES: Final = 16
RECORD_HASH_BYTES: Final = 16
PARTITION_BYTES: Final = 4


class Place(NamedTuple):
    """Where a snapshot lies.

    Attributes:
        topic: the events topic.
        partition: its partition.
        slot: which of the partition's slots.
    """

    topic: str
    partition: int
    slot: int

    @property
    def key(self) -> bytes:
        """What every key of the place begins with."""
        return self.partition.to_bytes(PARTITION_BYTES) + bytes([self.slot])

    @property
    def heading(self) -> bytes:
        """The heading's key."""
        return self.key + b"h"

    @property
    def states(self) -> bytes:
        """What the keys of its tenants' states begin with."""
        return self.key + b"s"

    @property
    def end(self) -> bytes:
        """What comes after all of them."""
        return self.key + b"t"

    @property
    def salt(self) -> bytes:
        """Goes into every checksum: a record of another version, topic, partition or slot does not pass."""
        return blake2b(f"{version()} {self}".encode(), digest_size=SALT_BYTES).digest()


class Heading(msgspec.Struct, frozen=True):
    """What there is once in a snapshot.

    Attributes:
        version: version of the contents, see `version`.
        topic: the events topic.
        partition: its partition.
        folded: offset up to and including which the log is folded.
        last: hash of the log's record there, see `record_hash`.
        claim: the claim that counts there.
        command_offset: highest offset of a command that led to an event, -1 for none.
        origins: the same on the topic that commands were forwarded from, per partition of that topic.
        void: number of records that did not count.
        tenants: number of tenants.
        events: sum of their sequences: the number of events that counted.
        chains: sum over the hashes of their last events, each as a CRC-32.
    """

    version: str
    topic: str
    partition: int
    folded: int
    last: str
    claim: Claim | None
    command_offset: int
    origins: dict[int, int]
    void: int
    tenants: int
    events: int
    chains: int


_ENCODER: Final = msgspec.json.Encoder()
_STATES: Final = msgspec.json.Decoder(TenantState)
_HEADINGS: Final = msgspec.json.Decoder(Heading)


def record_hash(value: bytes) -> str:
    """The hash by which a record of the log is known again, in hexadecimal."""
    return blake2b(value, digest_size=RECORD_HASH_BYTES).hexdigest()


def encode_heading(heading: Heading, place: Place) -> bytes:
    """A heading as bytes."""
    body = _ENCODER.encode(heading)
    return FORMAT.to_bytes(FORMAT_BYTES) + _checksum(place.salt, place.heading, body) + body


def decode_heading(value: bytes, place: Place) -> Heading:
    """The heading that ``value`` holds.

    Raises:
        Doubt: it was written in another format or by another version, for another topic, or is damaged.
    """
    found, rest = int.from_bytes(value[:FORMAT_BYTES]), value[FORMAT_BYTES:]
    if found > FORMAT:
        raise Doubt(f"a newer version of this program wrote it, in format {found}; this one reads {FORMAT}")
    if found != FORMAT:
        raise Doubt(f"it is in format {found}, which this program does not read any more")
    checksum, body = rest[:CHECKSUM_BYTES], rest[CHECKSUM_BYTES:]
    try:
        heading = _HEADINGS.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise Doubt(f"its heading cannot be read: {error}") from error
    if heading.version != version():
        raise Doubt(f"another version of this program wrote it: {heading.version}, this one is {version()}")
    if (heading.topic, heading.partition) != (place.topic, place.partition):
        raise Doubt(f"it is foreign: of {heading.topic}:{heading.partition}, not of {place.topic}:{place.partition}")
    if checksum != _checksum(place.salt, place.heading, body):
        raise Doubt("the checksum of its heading is wrong")
    return heading


class StateCodec:
    """Writes and reads the states of one place.

    Args:
        place: whose states.
    """

    def __init__(self, place: Place) -> None:
        self._first = place.states
        self._salt = place.salt

    def encode(self, state: TenantState) -> tuple[bytes, bytes]:
        """A state as key and value."""
        key, body = self._first + state.tenant.encode(), _ENCODER.encode(state)
        return key, _checksum(self._salt, key, body) + body

    def decode(self, key: bytes, value: bytes) -> TenantState:
        """The state that a record holds.

        Raises:
            Doubt: it is damaged or not of this place.
        """
        checksum, body = value[:CHECKSUM_BYTES], value[CHECKSUM_BYTES:]
        if checksum != _checksum(self._salt, key, body):
            raise Doubt(f"the checksum of a tenant's state is wrong, at key {key.hex()}")
        try:
            state = _STATES.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise Doubt(f"a tenant's state cannot be read, at key {key.hex()}: {error}") from error
        return state


def _checksum(salt: bytes, key: bytes, body: bytes) -> bytes:
    return blake2b(key + body, digest_size=CHECKSUM_BYTES, person=salt).digest()
