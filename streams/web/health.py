"""Whether a worker lives, and whether it is ready: two questions with two answers.

Whoever restarts workers asks the first one, whoever sends them work the second. A worker that rebuilds its partitions,
or waits for Kafka, lives; restarting it would only make it begin again.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from streams.metrics.rebuild import PartitionProgress, Readiness, is_ready
from streams.web.replies import json_reply

READY: Final = "every assigned partition is served"
REBUILDING: Final = "partitions are being rebuilt from the log"
UNASSIGNED: Final = "no partitions are assigned: the worker is joining its group, or stopping"


class Health:
    """Answers both.

    Args:
        readiness: how far the partitions are.
    """

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def live(self, _request: web.Request) -> web.Response:
        """``GET /health/live``: 200 as long as the event loop turns; nothing else is asked."""
        return json_reply({"live": True})

    async def ready(self, _request: web.Request) -> web.Response:
        """``GET /health/ready``: 200 where every assigned partition is served, else 503; always how far each is."""
        partitions = self._readiness.partitions()
        ready = is_ready(partitions)
        body = {
            "ready": ready,
            "message": _message(partitions, ready=ready),
            "partitions": [_shown(partition) for partition in partitions or ()],
        }
        return json_reply(body, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


def _message(partitions: Sequence[PartitionProgress] | None, *, ready: bool) -> str:
    if partitions is None:
        return UNASSIGNED
    return READY if ready else REBUILDING


def _shown(progress: PartitionProgress) -> dict[str, Any]:
    """A partition, with its events left and, where that can be told, the seconds that they take."""
    seconds = progress.left / progress.rate if progress.left is not None and progress.rate else None
    return {
        "partition": progress.partition,
        "served": progress.served,
        "position": progress.position,
        "target": progress.target,
        "left": progress.left,
        "rate_per_second": None if progress.rate is None else round(progress.rate, 1),
        "seconds_left": None if seconds is None else round(seconds, 1),
    }
