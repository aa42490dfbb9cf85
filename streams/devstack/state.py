"""What the local stack remembers between two commands: processes, ports and versions, in ``state.json``."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from streams.devstack.process import Process, wait_until
from streams.devstack.secret import write_secret
from streams.errors import StackFailed

LOCK_SECONDS = 120.0
"""How long one command waits for another one that is at work on the same stack."""


class PartState(BaseModel):
    """A server as it was last started.

    Attributes:
        version: of the server program.
        port: where clients connect.
        pid: of its process; None when it was stopped.
        birth: of its process, see :class:`streams.devstack.process.Process`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    port: int
    pid: int | None = None
    birth: str | None = None

    @property
    def process(self) -> Process | None:
        """The process that was started, whether or not it still runs."""
        return None if self.pid is None or self.birth is None else Process(self.pid, self.birth)

    def stopped(self) -> PartState:
        """The same without a process."""
        return self.model_copy(update={"pid": None, "birth": None})


class KafkaState(PartState):
    """The broker as it was last started.

    Attributes:
        controller_port: where its controller listens.
    """

    controller_port: int


class StackState(BaseModel):
    """The stack as it was last seen by a command.

    Attributes:
        created_at: when it was first started.
        kafka: None before the first start.
        postgres: None before the first start.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    kafka: KafkaState | None = None
    postgres: PartState | None = None


def read_state(path: Path) -> StackState | None:
    """The state in a file; None when there is no file.

    Raises:
        StackFailed: the file is not a state.
    """
    if not path.exists():
        return None
    try:
        return StackState.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StackFailed(
            f"{path} cannot be read as the state of the local stack ({error.error_count()} errors). "
            "End the processes of the stack that still run (`ps -ef | grep kafka.Kafka`), then remove the file."
        ) from error


def write_state(path: Path, state: StackState) -> None:
    """Write the state; a reader finds all of it, or what was there before."""
    write_secret(path, state.model_dump_json(indent=2) + "\n")


@contextmanager
def locked(path: Path, progress: Callable[[str], None]) -> Iterator[None]:
    """Keep other commands away from the stack meanwhile (flock(2)); the lock ends with the process at the latest.

    Raises:
        StackFailed: another command did not finish within :data:`LOCK_SECONDS`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not _try_lock(file.fileno()):
            progress("Another command is at work on this stack; waiting for it")
            if not wait_until(lambda: _try_lock(file.fileno()), LOCK_SECONDS):
                raise StackFailed(
                    f"another command is at work on {path.parent} and did not finish within {LOCK_SECONDS:.0f} s; "
                    "try again when it is done"
                )
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
