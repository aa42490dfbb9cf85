"""What a command is given: its settings and where it shows its answer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated

from cyclopts import Parameter

from streams.devstack.stack import Stack
from streams.devstack.state import read_state
from streams.errors import StackFailed
from streams.settings import Settings
from streams.terminal.output import Output


class Invocation:
    """One run of the command line.

    Attributes:
        flags: settings given as flags.
        environ: the environment.
        output: where the answer goes.
        given: the settings as they were given, without a look at the local stack.
    """

    def __init__(self, flags: Mapping[str, str], environ: Mapping[str, str], output: Output) -> None:
        self.flags = flags
        self.environ = environ
        self.output = output
        self.given = Settings.load(environ, flags)

    @property
    def stack(self) -> Stack:
        """The local stack of the data directory."""
        return Stack(self.given.data_dir, environment=self.environ)

    @cached_property
    def from_stack(self) -> Mapping[str, str]:
        """The variables that the local stack adds: none where Kafka was named, or where the stack does not run.

        Raises:
            StackFailed: the state of the stack cannot be read, or its Kafka died.
        """
        if self.given.origin("kafka") != "default" or not _runs(self.stack):
            return {}
        self.output.note(f"Using the local stack in {self.given.data_dir}, since TENANT_CONNECT_KAFKA is not set")
        return {name: value for name, value in self.stack.environment().items() if name not in self.environ}

    @cached_property
    def settings(self) -> Settings:
        """The settings, those of the local stack included where it is up and Kafka was not named.

        Raises:
            StackFailed: the state of the stack cannot be read.
        """
        added = self.from_stack
        return Settings.load({**added, **self.environ}, self.flags) if added else self.given


Context = Annotated[Invocation, Parameter(parse=False)]
"""How a command asks for its invocation; it is no argument of the command line."""


def _runs(stack: Stack) -> bool:
    state = read_state(stack.directory / "state.json")
    process = state.kafka.process if state and state.kafka else None
    if process is None or not stack.environment_path.exists():
        return False
    if not process.alive:
        raise StackFailed(f"Kafka of the local stack in {stack.directory} is not running; `tenant-connect dev up`")
    return True
