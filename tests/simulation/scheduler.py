"""Virtual time: what happens next is drawn from a seed, and one step at a time.

Two things can happen: a callback of a process's event loop runs, or an appointment of the world is kept (a record
arrives, an answer comes back, a timer is due). Callbacks of one loop keep their order, as in asyncio; which process
goes next, and whether the world gets ahead of processes that still have work, is chance.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tests.simulation.loop import ProcessLoop

Action = Callable[..., object]
"""What an appointment does when it is due."""

SLOW_SHARE: Final = 0.02
"""Share of the ways through the network that take `SLOW_FACTOR` times as long."""

SLOW_FACTOR: Final = 40

WORD_LENGTH_MAX: Final = 80
"""Characters that one argument takes in a line of the schedule."""


class Scheduler:
    """The clock of a simulated world and everything that is due.

    Args:
        seed: decides everything.
        impatience: share of steps in which the world moves on although a process has work; it makes processes slow.

    Attributes:
        now: virtual seconds since the world began.
        steps: steps taken.
        random: the one source of chance while the world runs.
        lines: the schedule in words, where it is wanted, else None.
    """

    def __init__(self, seed: int, impatience: float) -> None:
        self.now = 0.0
        self.steps = 0
        self.random = random.Random(f"schedule {seed}")
        self.lines: list[str] | None = None
        self._impatience = impatience
        self._agenda: list[tuple[float, int, Action, tuple[Any, ...]]] = []
        self._appointments = 0
        self._runnable: list[ProcessLoop] = []

    def at(self, when: float, action: Action, *arguments: Any) -> None:
        """Do ``action`` at a time, not before now; appointments for the same time are kept in their order."""
        self._appointments += 1
        heapq.heappush(self._agenda, (max(when, self.now), self._appointments, action, arguments))

    def after(self, delay_s: float, action: Action, *arguments: Any) -> None:
        """Do ``action`` after so many seconds."""
        self._appointments += 1
        heapq.heappush(self._agenda, (self.now + delay_s, self._appointments, action, arguments))

    def soon(self, action: Action, *arguments: Any) -> None:
        """Do ``action`` after one way through the network."""
        self.after(self.way_s(), action, *arguments)

    def way_s(self) -> float:
        """How long one way through the network takes: around a millisecond, now and then far longer."""
        chance = self.random.random()
        delay_s = 0.0002 + 0.003 * chance * chance
        return delay_s * SLOW_FACTOR if self.random.random() < SLOW_SHARE else delay_s

    def enter(self, loop: ProcessLoop) -> None:
        """The loop has callbacks to run."""
        self._runnable.append(loop)

    def leave(self, loop: ProcessLoop) -> None:
        """The loop has none any more, or is not to run."""
        self._runnable.remove(loop)

    def step(self) -> None:
        """Let one thing happen."""
        self.steps += 1
        runnable = self._runnable
        if runnable and not (self._agenda and self.random.random() < self._impatience):
            count = len(runnable)
            runnable[0 if count == 1 else int(self.random.random() * count)].run_one()
            return
        if not self._agenda:
            raise RuntimeError("nothing is left to happen")
        self.now, _, action, arguments = heapq.heappop(self._agenda)
        if self.lines is not None:
            self.say(describe(action, arguments))
        action(*arguments)

    def say(self, line: str) -> None:
        """Write a line of the schedule, where one is written."""
        if self.lines is not None:
            self.lines.append(f"{self.steps:>7} {self.now:>10.4f}  {line}")


def describe(action: Action, arguments: tuple[Any, ...]) -> str:
    """An appointment in words."""
    owner = getattr(action, "__self__", None)
    name = getattr(action, "__qualname__", "") or type(action).__name__
    words = " ".join(text for text in map(_word, arguments) if text)
    return f"{'' if owner is None else str(owner) + ' '}{name} {words}".rstrip()


def _word(argument: Any) -> str:
    if isinstance(argument, str | int | float):
        return str(argument)[:WORD_LENGTH_MAX]
    if isinstance(argument, tuple) and not hasattr(argument, "_fields"):
        return " ".join(text for text in map(_word, argument) if text)
    if isinstance(argument, tuple):
        return f"{type(argument).__name__}{tuple(argument)}"[:WORD_LENGTH_MAX]
    name = getattr(argument, "name", None) or getattr(argument, "__qualname__", None)
    return name if isinstance(name, str) else ""
