"""Where reading of one partition stands: what was handed over, and what is due next."""

from __future__ import annotations


class Reading:
    """The reading of one partition, from one seek to the next.

    Attributes:
        handed: last offset handed over since the seek, None for nothing yet.
        epoch: number of the seek; runs of an earlier one are stale, for what they hold is read again.
    """

    __slots__ = ("_asked_again", "_start", "_stepped", "epoch", "handed")

    def __init__(self) -> None:
        self.epoch = 0
        self.handed: int | None = None
        self._start: int | None = None
        self._asked_again: int | None = None
        self._stepped: int | None = None

    def restart(self, start: int | None) -> None:
        """Reading begins anew at ``start``; None where that is not known."""
        self.epoch += 1
        self.handed = self._asked_again = self._stepped = None
        self._start = start

    @property
    def due(self) -> int | None:
        """The offset that is to be handed over next, None where reading may begin anywhere."""
        if self._stepped is not None:
            return self._stepped
        return self._start if self.handed is None else self.handed + 1

    def hand_over(self, last: int) -> None:
        """A run that ends with offset ``last`` is handed over."""
        self.handed = last
        self._stepped = None

    def steps_over(self, offset: int) -> bool:
        """Whether a hole before ``offset`` is the topic's own: it is so when it is still there after asking again.

        Such holes are transaction markers and records that were deleted; others come from records that were
        fetched before a seek.
        """
        if self._asked_again != self.due:
            self._asked_again = self.due
            return False
        self._stepped = offset
        return True
