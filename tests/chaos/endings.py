"""How processes of workers ended: which of them had leave to, and which did not."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from signal import SIGKILL
from typing import Final

from tests.chaos.evidence import Ending, Evidence, Finding, Hit

NAMED: Final = frozenset(
    {
        "consumer_silent",
        "delivery_failed",
        "kafka_unreachable",
        "ownership_lost",
        "recovery_stalled",
        "wait_expired",
    }
)
"""Errors with which a worker may end by itself when it, or Kafka under it, was harmed; each is said by its code."""

SOON_S: Final = 40.0
"""For how long after it was harmed a worker may find that it has to end: reading at the start waits for 30 s."""

ENDINGS_PER_FAULT_MAX: Final = 2
"""How often one worker may end because of one fault: once in it, and once more when it starts before all is mended."""

DIE: Final = "--die-at"
SAID: Final = re.compile(
    rb'^\{.*"event": "worker\.(?:failed|ended)".*"code": "(\w+)"|^([a-z]+(?:_[a-z]+)+): ', re.MULTILINE
)
"""A line by which a worker says why it ends: of its log, or the last word of its command."""


class Endings:
    """Notes how the processes of one worker end, unless they are killed from outside.

    Args:
        worker: its name.
        log: where they write, one after the other.

    Attributes:
        noted: all that ended by themselves or when asked.
    """

    def __init__(self, worker: str, log: Path) -> None:
        self.noted: list[Ending] = []
        self._worker = worker
        self._log = log
        self._begins_at = 0
        self._told_to_die = False
        self._open = False

    def begin(self, words: Sequence[str], log_bytes: int) -> None:
        """A process was started with such words; what it writes begins behind so many bytes."""
        self._begins_at, self._told_to_die, self._open = log_bytes, DIE in words, True

    def note(self, code: int | None, *, asked: bool = False) -> None:
        """It ended with ``code``; when it was asked to, None says that it did not in its time."""
        if self._open:
            self._open = False
            died = self._told_to_die and code == -SIGKILL
            self.noted.append(Ending(self._worker, time.time(), code, asked, died, None if code == 0 else self._said()))

    def kill(self, code: int | None) -> None:
        """It is killed from outside, which is no ending of its own, unless it had ended before, with ``code``."""
        if code is not None:
            self.note(code)
        self._open = False

    def _said(self) -> str | None:
        """The code of the error that it ended with, by its own words."""
        found = SAID.findall(self._log.read_bytes()[self._begins_at :])
        return next(filter(None, found[-1])).decode() if found else None


def check_endings(evidence: Evidence) -> Iterator[Finding]:
    """Every ending that nobody had given leave to."""
    excused = Counter[tuple[str, Hit]]()
    for ending in evidence.endings:
        if ending.asked:
            yield from _asked(ending)
        elif not ending.died:
            yield from _by_itself(ending, evidence.hits, excused)


def _asked(ending: Ending) -> Iterator[Finding]:
    """Whoever is asked to stop does so in time and in good order."""
    if ending.code is None:
        yield Finding("ending", ending.worker, "it was asked to stop, and did not in its time")
    elif ending.code != 0:
        what = f"it was asked to stop, and ended with {ending.code} ({ending.said or 'it does not say why'})"
        yield Finding("ending", ending.worker, what)


def _by_itself(ending: Ending, hits: Sequence[Hit], excused: Counter[tuple[str, Hit]]) -> Iterator[Finding]:
    """Whoever ends by itself was harmed shortly before, says what it met, and does not do so over and over."""
    what = f"it ended by itself with {ending.code} ({ending.said or 'it does not say why'})"
    why = [hit for hit in hits if hit.worker in {None, ending.worker} and hit.began <= ending.at <= hit.ended + SOON_S]
    if ending.code is None or ending.code <= 0 or ending.said not in NAMED:
        yield Finding("ending", ending.worker, what)
    elif not why:
        yield Finding("ending", ending.worker, f"{what}, and nothing had happened to it")
    else:
        # Of several faults, the last one is made to answer for it.
        place = ending.worker, why[-1]
        excused[place] += 1
        if excused[place] > ENDINGS_PER_FAULT_MAX:
            yield Finding("ending", ending.worker, f"{what}, for the {excused[place]}th time after one fault")
