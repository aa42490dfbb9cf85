"""A worker in a process of its own: its signals, and the line that says that it is ready."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import Final

import structlog

from statemachine.errors import TenantConnectError
from streams.service.worker import Worker
from streams.settings import Settings
from streams.terminal.signals import SIGNAL_EXIT_BASE

STOPPING_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

LOOK_INTERVAL_S: Final = 0.1
"""Seconds between two looks at which partitions the worker owns."""

log = structlog.get_logger(__name__)


async def run_worker(settings: Settings) -> None:
    """Run a worker until a signal asks it to stop.

    Raises:
        TenantConnectError: the worker failed; see :class:`streams.service.worker.Worker`.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    worker = Worker(settings)
    watching = asyncio.create_task(_say_when_ready(worker, settings.worker_name))
    code = 1
    try:
        await worker.run(stop)
        code = 0
    except TenantConnectError as error:
        if worker.left_behind:
            log.error("worker.ended", code=error.code, remedy=error.remedy)  # noqa: TRY400 - said in full before
        raise
    finally:
        watching.cancel()
        if worker.left_behind:
            # What did not end in time would keep the process, and with it the partitions, for as long as it likes.
            logging.shutdown()
            os._exit(code)


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def asked(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("worker.abandoned", signal=number.name)
            logging.shutdown()
            os._exit(SIGNAL_EXIT_BASE + number)
        log.info("worker.asked_to_stop", signal=number.name)
        stop.set()

    for number in STOPPING_SIGNALS:
        loop.add_signal_handler(number, asked, number)


async def _say_when_ready(worker: Worker, name: str) -> None:
    said: tuple[int, ...] = ()
    while True:
        owned = worker.partitions
        if owned and owned != said:
            log.info("worker.ready", worker=name, partitions=list(owned))
        said = owned
        await asyncio.sleep(LOOK_INTERVAL_S)
