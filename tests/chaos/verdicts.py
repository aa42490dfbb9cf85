"""What is made of rounds that were played: whether all is well, and what the program ends with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tests.chaos.evidence import Finding
from tests.chaos.play import Played

WELL: Final = 0
WRONG: Final = 1
LEFT_OUT: Final = 2
"""Exit codes: all was played and is well; something is wrong; nothing is, of what was played."""

OF_THE_FENCE: Final = frozenset({"void", "deposed", "stale", "twice", "sequence", "readers"})
"""Rules that workers without a fence break."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A round and what was found.

    Attributes:
        name: the round's.
        seed: what decided about it.
        seconds: how long it took, the judgement included.
        played: what happened.
        findings: what must not be.
        unfenced: whether its workers had no fence, which has to be found out.
    """

    name: str
    seed: int
    seconds: float
    played: Played
    findings: list[Finding]
    unfenced: bool = False

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings and self.played.problem is None

    @property
    def well(self) -> bool:
        """Whether it is as it has to be: nothing is wrong, or the missing fence was found out."""
        return any(finding.rule in OF_THE_FENCE for finding in self.findings) if self.unfenced else self.clean

    @property
    def word(self) -> str:
        """The same in words."""
        if self.unfenced:
            return "the missing fence was found out, as it must be" if self.well else "THE MISSING FENCE WAS MISSED"
        return "nothing is wrong" if self.clean else "FOUND OUT"


def exit_code(verdicts: Sequence[Verdict], *, allow_left_out: bool) -> int:
    """What the program ends with.

    Args:
        verdicts: one of each round.
        allow_left_out: whether faults may be left out.
    """
    if not all(verdict.well for verdict in verdicts):
        return WRONG
    return LEFT_OUT if any(left_out(verdicts)) and not allow_left_out else WELL


def left_out(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """Every fault that this machine could not do, with its round."""
    for verdict in verdicts:
        for skipped in verdict.played.skipped:
            yield f"{verdict.name}: {skipped}"
