"""Which partition a key belongs to: Kafka's default partitioner, the same for every client.

The hash is Austin Appleby's MurmurHash2 for 32 bits, with the seed of Kafka's Java client.
"""

from __future__ import annotations

from typing import Final

SEED: Final = 0x9747B28C
_MULTIPLIER: Final = 0x5BD1E995
_SHIFT: Final = 24
_MASK: Final = 0xFFFFFFFF
_POSITIVE: Final = 0x7FFFFFFF


def partition_of(key: bytes | str, partitions: int) -> int:
    """The partition, from 0, that a record with this key is written to; text is hashed as UTF-8."""
    data = key.encode() if isinstance(key, str) else key
    return (murmur2(data) & _POSITIVE) % partitions


def murmur2(data: bytes) -> int:
    """MurmurHash2 of ``data`` as an unsigned number of 32 bits."""
    whole = len(data) & ~3
    digest = SEED ^ len(data)
    for start in range(0, whole, 4):
        digest = (digest * _MULTIPLIER & _MASK) ^ _mixed(int.from_bytes(data[start : start + 4], "little"))
    if whole < len(data):
        digest = (digest ^ int.from_bytes(data[whole:], "little")) * _MULTIPLIER & _MASK
    digest = (digest ^ (digest >> 13)) * _MULTIPLIER & _MASK
    return digest ^ (digest >> 15)


def _mixed(word: int) -> int:
    word = word * _MULTIPLIER & _MASK
    return (word ^ (word >> _SHIFT)) * _MULTIPLIER & _MASK
