"""Threads without threads: what a thread would do over and over is an appointment that comes again.

The worker's threads all have one shape: a loop that waits for something, does what came, and looks whether it should
end. A turn calls the thread's function anew; what would block the second time ends the turn.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.loop import here

if TYPE_CHECKING:
    from tests.simulation.process import Process

TURN_S: Final = 0.15
"""From one turn of a thread to the next, on average."""


class TurnOver(BaseException):
    """The thread would wait now."""


class Turn:
    """The waits of the turn that goes on: one comes back at once, the next one ends the turn."""

    def __init__(self) -> None:
        self._waited = True

    def begin(self) -> None:
        """A turn begins."""
        self._waited = False

    def wait(self) -> None:
        """The thread waits.

        Raises:
            TurnOver: it has waited before in this turn.
        """
        if self._waited:
            raise TurnOver
        self._waited = True


class TurningThread:
    """`threading.Thread`, as the worker uses it.

    Args:
        target: what it does; a loop that begins anew with every turn.
        name: its name.
    """

    def __init__(self, *, target: Callable[[], None], name: str, daemon: bool) -> None:
        del daemon
        self._target = target
        self._name = name
        self._process: Process = here()
        self._alive = False

    def __str__(self) -> str:
        return f"{self._process}'s thread {self._name}"

    def start(self) -> None:
        """Begin to take turns."""
        self._alive = True
        self._again()

    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._alive

    def join(self, _timeout: float | None = None) -> None:
        """Whoever waits has told it to end, and it is not missed."""
        self._alive = False

    def _again(self) -> None:
        scheduler = self._process.world.scheduler
        scheduler.after(2 * TURN_S * scheduler.random.random(), self._take_turn)

    def _take_turn(self) -> None:
        if not self._alive or self._process.link.dead:
            return
        if not self._process.link.frozen:
            self._process.turn.begin()
            try:
                with self._process.loop.entered():
                    self._target()
            except TurnOver:
                pass
            else:
                self._alive = False
                return
        self._again()


class Flag:
    """`threading.Event`, where nobody waits for it."""

    def __init__(self) -> None:
        self._set = False

    def set(self) -> None:
        """Set it."""
        self._set = True

    def is_set(self) -> bool:
        """Whether it is set."""
        return self._set

    def wait(self, _timeout: float) -> bool:
        """A thread waits: this turn or the next."""
        here().turn.wait()
        return self._set
