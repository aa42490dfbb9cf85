"""What the command line adds to the errors of the service: wrong use, and the end by a signal."""

from __future__ import annotations

import signal
from typing import Final, Never

from statemachine.errors import TenantConnectError
from streams.errors import RuntimeFailure

SIGNAL_EXIT_BASE: Final = 128
"""Exit code of a program that a signal ended, without the signal's number (POSIX shells)."""

INTERRUPTED: Final = SIGNAL_EXIT_BASE + signal.SIGINT
"""Exit code after Ctrl-C."""

READER_GONE: Final = SIGNAL_EXIT_BASE + signal.SIGPIPE
"""Exit code where nobody reads the output any more."""


class WrongUse(RuntimeFailure):
    """The command line was not understood."""

    code = "wrong_use"
    meaning = "The command was not understood."
    remedy = "`tenant-connect COMMAND --help` shows how a command is used, with an example."
    exit_code = 2


class NothingToRun(RuntimeFailure):
    """A part of this installation that the command needs is not there."""

    code = "not_available"
    meaning = "This installation does not have what the command needs."
    remedy = "Install a newer version of tenant-connect."
    exit_code = 2


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


def exit_code_of(error: TenantConnectError) -> int:
    """What the program ends with: 1 for every answer that is an error, unless the error says otherwise."""
    return error.exit_code if isinstance(error, RuntimeFailure) else 1


def _terminated(number: int, _frame: object) -> Never:
    raise Terminated(number)
