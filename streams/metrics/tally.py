"""Counters whose label values come from elsewhere: each value is a series, so their number is bounded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter

LABEL_VALUES_MAX: Final = 64
"""Values of one label that are told apart; those that come later are counted together."""

OTHER: Final = "other"
"""What values beyond the bound are counted under."""

UNKNOWN: Final = "unknown"
"""What is counted where no value was given."""


class Values:
    """The values of one label, as they are shown.

    Args:
        known: values that count as seen from the beginning.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._seen = set(known)

    def shown(self, value: str | None) -> str:
        """The value itself, or what it is counted under instead."""
        if value in self._seen:
            return value
        if not value:
            return UNKNOWN
        if len(self._seen) >= LABEL_VALUES_MAX:
            return OTHER
        self._seen.add(value)
        return value


class Tally:
    """A counter with one label of bounded values. It may be added to from any thread.

    Args:
        registry: where it is registered.
        name: name of the family, without ``_total``.
        meaning: what is counted.
        label: name of the label.
        known: values that are shown from the beginning, as 0: without a 0 before it, the first increase is no rate.
    """

    def __init__(
        self, registry: CollectorRegistry, name: str, meaning: str, label: str, known: Iterable[str] = ()
    ) -> None:
        self._counter = Counter(name, meaning, [label], registry=registry)
        self._children = {value: self._counter.labels(value) for value in known}
        self._values = Values(self._children)

    def add(self, value: str | None, amount: int = 1) -> None:
        """Count ``amount`` under ``value``."""
        child = self._children.get(value or "")
        if child is None:
            shown = self._values.shown(value)
            child = self._children[shown] = self._counter.labels(shown)
        child.inc(amount)
