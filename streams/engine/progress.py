"""How far each partition's input is done: what may be committed.

A commit must never pass a run that is still being handled, nor one that was dropped on its way to the
handler; so only runs that the handler began and finished count, and only in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Place = tuple[str, int]
"""Topic and partition."""


class Progress:
    """Runs begun and finished per partition."""

    def __init__(self) -> None:
        self._runs: dict[Place, dict[int, bool]] = {}
        self._done: dict[Place, int] = {}

    def begin(self, place: Place, last: int) -> None:
        """A run that ends with offset ``last`` is being handled."""
        self._runs.setdefault(place, {})[last] = False

    def finish(self, place: Place, last: int) -> None:
        """That run is done; a run forgotten by `reset` in the meantime does not count."""
        runs = self._runs.get(place)
        if runs is None or last not in runs:
            return
        runs[last] = True
        while runs and runs[first := next(iter(runs))]:
            del runs[first]
            self._done[place] = max(first + 1, self._done.get(place, 0))

    def running(self, place: Place) -> int:
        """Number of runs begun and not done, or done out of turn."""
        return len(self._runs.get(place, ()))

    def committable(self, place: Place) -> int | None:
        """The offset to commit: that of the next record to handle; None where nothing was done."""
        return self._done.get(place)

    def places(self) -> Iterator[Place]:
        """Where something was done."""
        return iter(tuple(self._done))

    def reset(self, places: Iterable[Place]) -> None:
        """Forget everything about ``places``."""
        for place in places:
            self._runs.pop(place, None)
            self._done.pop(place, None)
