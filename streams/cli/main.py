"""The entry point of ``tenant-connect``: puts the commands together and turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Final, TextIO

from cyclopts import App, CycloptsError

from statemachine.errors import TenantConnectError
from streams.cli import (
    audit,
    commands,
    dead_letters,
    demo,
    development,
    history,
    listing,
    schemas,
    settings,
    tenants,
    topics,
    users,
    worker,
)
from streams.cli.failure import WrongUse, exit_code_of
from streams.cli.flags import JSON, Taken, take
from streams.cli.guidance import example
from streams.cli.invocation import Invocation
from streams.cli.logs import LogLevel, configure_logs
from streams.terminal.output import Output
from streams.terminal.signals import INTERRUPTED, READER_GONE, SIGNAL_EXIT_BASE, Terminated

PROGRAM: Final = "tenant-connect"

GROUPS: Final = (
    development,
    demo,
    topics,
    worker,
    tenants,
    commands,
    listing,
    users,
    history,
    audit,
    dead_letters,
    settings,
    schemas,
)
"""In the order of the help."""


def application() -> App:
    """The command line with all its commands."""
    app = App(
        name=PROGRAM,
        version=f"{PROGRAM} {version(PROGRAM)}",
        version_format="plaintext",
        help="Own every tenant's database connection in a realtime platform, event-sourced on Kafka.",
        help_format="plaintext",
        help_epilogue=example("tenant-connect demo", "tenant-connect dev up"),
    )
    for group in GROUPS:
        group.add_to(app)
    return app


def run(arguments: Sequence[str], environ: Mapping[str, str], out: TextIO, err: TextIO) -> int:
    """Run one command line and give its exit code; errors of the service are shown, not raised."""
    output = Output(out, err, as_json=JSON in arguments)
    try:
        return _dispatch(take(arguments), environ, output)
    except CycloptsError as error:
        wrong = WrongUse(str(error))
        output.error(wrong)
        return wrong.exit_code
    except TenantConnectError as error:
        output.error(error)
        return exit_code_of(error)
    except KeyboardInterrupt:
        output.note("Interrupted.")
        return INTERRUPTED
    except Terminated as error:
        output.note(f"Ended by {error}.")
        return SIGNAL_EXIT_BASE + error.number


def _dispatch(taken: Taken, environ: Mapping[str, str], output: Output) -> int:
    command, bound, injected = application().parse_args(taken.tokens, exit_on_error=False, print_error=False)
    given = {name: Invocation(taken.flags, environ, output) for name in injected}
    answer = command(*bound.args, **bound.kwargs, **given)
    return answer if isinstance(answer, int) else 0


def main() -> None:
    """Run the command line of this process."""
    # A library's retries are no news to whoever waits for an answer; a worker chooses otherwise.
    configure_logs(LogLevel.WARNING, sys.stderr, libraries=LogLevel.ERROR)
    try:
        code = run(sys.argv[1:], os.environ, sys.stdout, sys.stderr)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more at its end; there must be something to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    sys.exit(code)


if __name__ == "__main__":
    main()
