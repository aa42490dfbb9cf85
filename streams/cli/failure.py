"""What the command line adds to the errors of the service, and the exit code of each error."""

from __future__ import annotations

from statemachine.errors import TenantConnectError
from streams.errors import RuntimeFailure


class WrongUse(RuntimeFailure):
    """The command line was not understood."""

    code = "wrong_use"
    meaning = "The command was not understood."
    remedy = "`tenant-connect COMMAND --help` shows how a command is used, with an example."
    exit_code = 2


def exit_code_of(error: TenantConnectError) -> int:
    """What the program ends with: 1 for every answer that is an error, unless the error says otherwise."""
    return error.exit_code if isinstance(error, RuntimeFailure) else 1
