"""What is explored: a model, its bounds, a rule that is broken on purpose, and what must come of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Model(StrEnum):
    """A model in ``models/``."""

    OWNERSHIP = "ownership"
    POSITIONS = "positions"


@dataclass(frozen=True, slots=True)
class Exploration:
    """One run of the model checker.

    Attributes:
        title: what it is about, in a few words.
        model: which model.
        sizes: macros that bound it; the model's own defaults for the rest.
        broken: the macro of a rule that is left out, None for the protocol as it is.
        verdicts: the broken promises, or the one situation, of which one must be found first; none where everything
            must hold.
    """

    title: str
    model: Model
    sizes: Mapping[str, int]
    broken: str | None = None
    verdicts: frozenset[str] = field(default_factory=frozenset)

    @property
    def macros(self) -> tuple[str, ...]:
        """The macros as the model checker's preprocessor takes them."""
        flags = tuple(f"-D{name}={value}" for name, value in self.sizes.items())
        return flags if self.broken is None else (f"-D{self.broken}", *flags)

    @property
    def is_search(self) -> bool:
        """Whether the shortest way to something is looked for, rather than everything visited."""
        return bool(self.verdicts)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of an exploration.

    Attributes:
        verdict: the promise that was broken, or the situation that was reached; None for neither.
        steps: the way there, in words; empty where everything held.
        states: distinct states that were visited.
        depth: the longest way, in the checker's transitions.
        seconds: how long the verifier ran.
        megabytes: its memory.
    """

    verdict: str | None
    steps: tuple[str, ...]
    states: int
    depth: int
    seconds: float
    megabytes: float

    def answers(self, exploration: Exploration) -> bool:
        """Whether it is what was to be found."""
        return self.verdict in exploration.verdicts if exploration.verdicts else self.verdict is None
