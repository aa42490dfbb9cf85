"""The event loop of one simulated process: asyncio's rules, virtual time, and no IO.

Each process has a loop of its own, so that it can be frozen, killed and started again apart from the others.
"""

from __future__ import annotations

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.scheduler import Scheduler

if TYPE_CHECKING:
    from tests.simulation.process import Process

THREAD_WAY_S: Final = 0.001
"""How long, on average, a thread takes for what it is asked to do."""

THREAD_RETRY_S: Final = 0.05
"""How soon a thread that had to wait looks again."""


TASKS_KEPT_MAX: Final = 1_000
"""Tasks remembered before the finished ones are forgotten."""


CLEANING_STEPS_MAX: Final = 50
"""How often a coroutine of a process that has ended may wait for something while it cleans up."""


class Ended(BaseException):
    """Raised in every coroutine that is left when its process ends."""


class Waiting(Exception):
    """Raised by what runs in a simulated thread: it would block now and is to be tried again."""


def here() -> Process:
    """The process whose callback runs."""
    process: Process = vars(asyncio.get_running_loop())["process"]
    return process


class SimulatedTask(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where it lies in memory."""

    made: int
    context: Context

    def __hash__(self) -> int:
        return self.made


class ProcessLoop(asyncio.BaseEventLoop):
    """Runs one callback when told to; timers are appointments of the scheduler.

    Args:
        scheduler: virtual time.
        name: the process, for the schedule.
        unhandled: told of exceptions that nobody handles.
    """

    def __init__(self, scheduler: Scheduler, name: str, unhandled: Callable[[dict[str, Any]], None]) -> None:
        super().__init__()
        self.name = name
        self.tasks: list[SimulatedTask] = []
        self._scheduler = scheduler
        self._unhandled = unhandled
        self._callbacks: deque[asyncio.Handle] = deque()
        self._frozen = False
        self._dead = False
        self._listed = False
        self._made = 0
        self._busy_until: dict[Any, float] = {}

    def __str__(self) -> str:
        return self.name

    def freeze(self) -> None:
        """Run nothing until `thaw`; what arrives meanwhile is kept."""
        self._frozen = True
        self._list()

    def thaw(self) -> None:
        """Go on: first with what arrived meanwhile, then with the timers that are overdue, as asyncio does."""
        self._frozen = False
        timers = [handle for handle in self._callbacks if isinstance(handle, asyncio.TimerHandle)]
        arrived = [handle for handle in self._callbacks if not isinstance(handle, asyncio.TimerHandle)]
        self._callbacks = deque([*arrived, *timers])
        self._list()

    def kill(self) -> None:
        """Run nothing ever again."""
        self._dead = True
        self._list()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """What runs in the block runs in this process, though not as a callback."""
        events._set_running_loop(self)
        try:
            yield
        finally:
            events._set_running_loop(None)

    def run_one(self) -> None:
        """Run the next callback that was not cancelled."""
        handle = self._callbacks.popleft()
        while handle._cancelled and self._callbacks:
            handle = self._callbacks.popleft()
        if not handle._cancelled:
            if self._scheduler.lines is not None:
                self._scheduler.say(f"{self.name} runs {_words(handle)}")
            events._set_running_loop(self)
            try:
                handle._run()
            finally:
                events._set_running_loop(None)
        if not self._callbacks:
            self._list()

    def close(self) -> None:
        """End: what never finished is closed without a word."""
        self.kill()
        with self.entered():
            while self.tasks:
                _discard(self.tasks.pop())
        self._callbacks.clear()
        super().close()

    def time(self) -> float:
        """Virtual seconds; a frozen process's monotonic clock goes on, as a real one does."""
        return self._scheduler.now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:  # type: ignore[override]  # typeshed ties the arguments to the callback
        """Run in the order of these calls."""
        handle = asyncio.Handle(callback, args, self, context)
        self._callbacks.append(handle)
        if not self._listed:
            self._list()
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]  # there are no threads

    def call_later(  # type: ignore[override]  # see above
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run after ``delay`` virtual seconds."""
        return self.call_at(self._scheduler.now + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]  # see above
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Run at a virtual time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._scheduler.at(when, self._due, handle)
        return handle

    def create_task(  # type: ignore[override]  # coroutines are the only kind there is
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> SimulatedTask:
        """A task with a hash of its own."""
        self._made += 1
        task = SimulatedTask.__new__(SimulatedTask)
        task.made = self._made
        task.context = copy_context() if context is None else context
        SimulatedTask.__init__(task, coro, loop=self, name=name or "", context=task.context)
        self.tasks.append(task)
        if len(self.tasks) > TASKS_KEPT_MAX:
            self.tasks = [kept for kept in self.tasks if not kept.done()]
        return task

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]  # see above
        """A thread does it, a little later, and again for as long as it is `Waiting`."""
        done: asyncio.Future[Any] = self.create_future()
        when = self._scheduler.now + THREAD_WAY_S * self._scheduler.random.random()
        if executor is not None:
            # A pool of one thread does one thing after the other.
            when = self._busy_until[executor] = max(when, self._busy_until.get(executor, 0.0))
        self._scheduler.at(when, self._attempt, done, func, args)
        return done

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        """Every name is its own address."""
        return [(None, None, 0, "", (host, port))]

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Tell of it, unless the process is gone."""
        if not self._dead:
            self._unhandled(context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """A cancelled timer is passed over when it is due."""

    def _due(self, handle: asyncio.TimerHandle) -> None:
        if not self._dead and not handle._cancelled:
            self._callbacks.append(handle)
            self._list()

    def _attempt(self, done: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
        if self._dead or done.done():
            return
        if self._frozen:
            self._scheduler.after(THREAD_RETRY_S, self._attempt, done, func, args)
            return
        try:
            with self.entered():
                done.set_result(func(*args))
        except Waiting:
            self._scheduler.after(THREAD_RETRY_S, self._attempt, done, func, args)
        except Exception as error:  # noqa: BLE001  it is the caller's, as with a real thread
            done.set_exception(error)

    def _list(self) -> None:
        runs = bool(self._callbacks) and not self._frozen and not self._dead
        if runs is not self._listed:
            self._listed = runs
            (self._scheduler.enter if runs else self._scheduler.leave)(self)


def _discard(task: SimulatedTask) -> None:
    """End what a task was doing; it may do nothing but clean up."""
    if task.done():
        return
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # asyncio's own switch
    coroutine: Any = task.get_coro()
    for _ in range(CLEANING_STEPS_MAX):
        try:
            task.context.run(coroutine.throw, Ended)
        except BaseException:  # noqa: BLE001  a dead process says nothing
            return


def _words(handle: asyncio.Handle) -> str:
    """A callback in words: for a task, where its innermost coroutine stands."""
    callback: Any = handle._callback  # type: ignore[attr-defined]  # asyncio's own
    task = getattr(callback, "__self__", None)
    if not isinstance(task, asyncio.Task):
        named: Any = getattr(callback, "func", callback)
        return str(getattr(named, "__qualname__", type(named).__qualname__))
    names: list[str] = []
    inner: Any = task.get_coro()
    while inner is not None and len(names) < 8:
        names.append(getattr(inner, "__qualname__", type(inner).__name__))
        inner = getattr(inner, "cr_await", None) or getattr(inner, "gi_yieldfrom", None)
    return " > ".join(name for name in names if name not in {"FutureIter", "Future"})
