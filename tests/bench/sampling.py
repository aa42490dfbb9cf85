"""A sampling profiler of one process: which Python functions its processor time goes to.

A signal comes with every few milliseconds of processor time of the whole process; the time since the one
before is put down to what the main thread is doing. Where that only waits for the network, another thread used
the time: it is put down to whatever other Python thread is at work, else to native threads.

Source: setitimer(2), ITIMER_PROF.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

INTERVAL_S: Final = 0.001
"""Processor time between two samples; the kernel's clock may make it longer."""

NATIVE: Final = "native threads: librdkafka, compression"

_WAITING: Final = frozenset(
    {"EpollSelector.select", "Condition.wait", "Event.wait", "LogProducer._poll", "CatalogView._follow", "_worker"}
)


class Sampler:
    """Samples this process; must be made and started in its main thread."""

    def __init__(self) -> None:
        self._own: Counter[str] = Counter()
        self._within: Counter[str] = Counter()
        self._before = 0.0
        self._running = False

    def start(self) -> None:
        """Begin to sample."""
        self._running = True
        self._before = time.process_time()
        signal.signal(signal.SIGPROF, self._sample)
        signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)

    def stop(self, path: Path) -> None:
        """End, and write what was found: microseconds per function, by itself and with all that it called."""
        if not self._running:
            return
        self._running = False
        signal.setitimer(signal.ITIMER_PROF, 0)
        path.write_text(json.dumps({"own": self._own, "within": self._within}), encoding="utf-8")

    def _sample(self, _number: int, frame: FrameType | None) -> None:
        now = time.process_time()
        spent = round((now - self._before) * 1_000_000)
        self._before = now
        stack = _stack(frame)
        if not stack or stack[0][1] in _WAITING:
            stack = _other_thread()
        names = [f"{module}:{name}" for module, name in stack] or [NATIVE]
        self._own[names[0]] += spent
        for name in set(names):
            self._within[name] += spent


def _other_thread() -> list[tuple[str, str]]:
    """The stack of another Python thread that does not wait, if there is one."""
    for thread, frame in sys._current_frames().items():
        if thread != threading.main_thread().ident:
            stack = _stack(frame)
            if stack and stack[0][1] not in _WAITING:
                return stack
    return []


def _stack(frame: FrameType | None) -> list[tuple[str, str]]:
    """Module and function of each frame, the innermost first."""
    found: list[tuple[str, str]] = []
    while frame is not None:
        found.append((str(frame.f_globals.get("__name__", "?")), frame.f_code.co_qualname))
        frame = frame.f_back
    return found
