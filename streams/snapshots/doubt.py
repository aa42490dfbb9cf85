"""Why a snapshot is not used, or cannot be had."""

from __future__ import annotations


class Doubt(Exception):
    """A snapshot may be wrong; the text says why. It is deleted, and the log is folded from its beginning."""


class StoreFailed(Exception):
    """The store cannot be opened, read or written now: no room, no permission, no such device."""


class StoreDamaged(StoreFailed):
    """What is in the store's files is not what was written."""


class StoreLocked(StoreFailed):
    """Another process has the store open."""


class StoreBusy(StoreFailed):
    """The disk is behind; what was to be written is to be tried again a little later."""
