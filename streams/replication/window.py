"""How much may be on its way at once."""

from __future__ import annotations

from typing import Final

RECORD_OVERHEAD_BYTES: Final = 512
"""What a record takes in memory beside its value, about: a window of small ones is bounded too."""

REOPENING_PART: Final = 2
"""A window that was full opens again when it is down to its bounds divided by this."""


class Window:
    """Shut at its bounds, open again below them.

    Args:
        records_max: records at which it shuts.
        bytes_max: bytes at which it shuts.

    Attributes:
        records: what is on its way.
        bytes: the bytes of these.
        shut: whether nothing may follow.
    """

    __slots__ = ("_bytes_max", "_records_max", "bytes", "records", "shut")

    def __init__(self, records_max: int, bytes_max: int) -> None:
        self._records_max = records_max
        self._bytes_max = bytes_max
        self.records = 0
        self.bytes = 0
        self.shut = False

    def add(self, size: int) -> None:
        """One record more, of so many bytes."""
        self.records += 1
        self.bytes += size
        if self.records >= self._records_max or self.bytes >= self._bytes_max:
            self.shut = True

    def remove(self, records: int, size: int) -> bool:
        """So many less, of so many bytes together; tells whether it opened again."""
        self.records -= records
        self.bytes -= size
        if (
            self.shut
            and self.records <= self._records_max // REOPENING_PART
            and self.bytes <= self._bytes_max // REOPENING_PART
        ):
            self.shut = False
            return True
        return False
