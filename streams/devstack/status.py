"""What there is to say about the local stack at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from streams.devstack.kafka import KafkaServer
from streams.devstack.postgres import PostgresServer
from streams.devstack.state import PartState


@dataclass(frozen=True, slots=True)
class PartStatus:
    """A server of the stack as it is now.

    Attributes:
        version: of the server program.
        address: ``host:port``.
        pid: None when it does not run.
        answers: whether it answered a question just now.
        log_path: where it writes its log.
    """

    version: str
    address: str
    pid: int | None
    answers: bool
    log_path: Path


@dataclass(frozen=True, slots=True)
class StackStatus:
    """The stack as it is now.

    Attributes:
        directory: with data, logs and state.
        created_at: when it was first started; None when it never was.
        kafka: None when it was never started.
        postgres: None when it was never started.
    """

    directory: Path
    created_at: datetime | None
    kafka: PartStatus | None
    postgres: PartStatus | None

    @property
    def up(self) -> bool:
        """Whether both servers answer."""
        return all(part is not None and part.answers for part in (self.kafka, self.postgres))


def part_status(server: KafkaServer | PostgresServer | None, part: PartState | None) -> PartStatus | None:
    """Ask a server how it is; None when it was never started."""
    if server is None or part is None:
        return None
    pid = server.pid
    return PartStatus(part.version, server.address, pid, pid is not None and server.answers(), server.log_path)
