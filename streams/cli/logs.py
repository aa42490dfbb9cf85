"""Structured logs on standard error: for people on a terminal, one JSON object a line anywhere else."""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

OWN: Final = "tenant-connect"
"""The logger that all lines of the service go through. The packages of the service are not it: a library's logger may
carry the name of a module here that extends the library."""

LEADING: Final = ("timestamp", "level", "event")
"""What each line of JSON begins with."""


QUIET_S: Final = 10.0
"""For how long a library's line is not written again, in seconds."""

LINES_REMEMBERED_MAX: Final = 1_000
"""Different lines of libraries whose repetition is noticed."""


class Repeated(logging.Filter):
    """Leaves out what a library says again and again, as clients do while Kafka is away."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is new, or long enough ago. Lines of the service itself are always written."""
        if record.name == OWN:
            return True
        line = (record.name, str(record.msg))
        if record.created - self._written.get(line, 0.0) < QUIET_S:
            return False
        if len(self._written) >= LINES_REMEMBERED_MAX:
            self._written.clear()
        self._written[line] = record.created
        return True


class LogLevel(StrEnum):
    """The least severe log lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def configure_logs(level: LogLevel, stream: TextIO, *, libraries: LogLevel = LogLevel.WARNING) -> None:
    """Send the logs of the service and of its libraries to ``stream``, in one form.

    Args:
        level: of the service, from which on it writes.
        stream: where they go.
        libraries: the same for libraries, which write through the standard library.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.addFilter(Repeated())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(stream)],
        )
    )
    logging.basicConfig(handlers=[handler], level=libraries.upper(), force=True)
    logging.captureWarnings(capture=True)
    own = logging.getLogger(OWN)
    own.setLevel(level.upper())
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=lambda *_: own,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _rendering(stream: TextIO) -> list[Processor]:
    if stream.isatty():
        # The formatter that it would choose by itself prints local variables, and so passwords.
        return [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    return [structlog.processors.format_exc_info, _lead, structlog.processors.JSONRenderer(default=str)]


def _lead(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Put first what a reader looks for first."""
    return {name: line[name] for name in LEADING if name in line} | dict(line)
