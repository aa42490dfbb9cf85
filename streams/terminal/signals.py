"""The end of a command by a signal."""

from __future__ import annotations

import signal
from typing import Final, Never

SIGNAL_EXIT_BASE: Final = 128
"""Exit code of a program that a signal ended, without the signal's number (POSIX shells)."""

INTERRUPTED: Final = SIGNAL_EXIT_BASE + signal.SIGINT
"""Exit code after Ctrl-C."""

READER_GONE: Final = SIGNAL_EXIT_BASE + signal.SIGPIPE
"""Exit code where nobody reads the output any more."""


class Terminated(BaseException):
    """A signal asked the program to end; not an `Exception`, so that only the last one to know catches it.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def terminate_on(*numbers: signal.Signals) -> None:
    """Raise `Terminated` in the main thread on these signals, so that every ``finally`` gets its turn."""
    for number in numbers:
        signal.signal(number, _terminated)


def _terminated(number: int, _frame: object) -> Never:
    raise Terminated(number)
