"""The users' topic as a worker sees it: the partitions that it owns, followed in a thread of their own.

The thread reads outside any consumer group, decodes and counts; the event loop is told in batches what changed.
A partition is read from the first record of the last hour on, so that its new owner knows what the old one knew.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from statemachine.errors import TenantConnectError
from streams.errors import KafkaUnreachable, OwnershipLost
from streams.log.reader import Record
from streams.users.counts import Counts, Tally
from streams.users.following import Following, forsake
from streams.users.left_out import LeftOut
from streams.users.source import UsersSource

CATCH_UP_TIMEOUT_S: Final = 30.0
"""How long a caller waits for a partition to be read up to its end."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long closing waits for the thread, which may be asking for the offsets of a partition."""

UNREADABLE_WAITING_MAX: Final = 1_000
"""Unreadable records that wait for the event loop; more are counted, and stay on the topic for its hour."""

Answer = TypeVar("Answer")


class UsersView:
    """The partitions that are followed. All but its thread runs in the event loop that it was made in.

    Attributes:
        tally: how many reports were read and left out.

    Args:
        configuration: librdkafka properties of a consumer outside any group.
        topic: the users' topic.
        partitions: its number of partitions.
        now_ms: the clock, in milliseconds since 1970; called in both threads.
        turned: told a tenant whose users came or left; of a partition that became known, each that is used.
        unreadable: told of a record that breaks the contract, and what is wrong with it.
        failed: told when reading cannot go on.
    """

    def __init__(
        self,
        configuration: dict[str, Any],
        topic: str,
        partitions: int,
        now_ms: Callable[[], int],
        *,
        turned: Callable[[str], None],
        unreadable: Callable[[Record, TenantConnectError], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.tally = Tally()
        self._topic = topic
        self._partitions = partitions
        self._now_ms = now_ms
        self._turned = turned
        self._unreadable = unreadable
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._source = UsersSource(configuration, topic)
        self._left_out = LeftOut()
        self._lock = threading.Lock()
        self._followed: dict[int, Following] = {}
        self._waiting: list[tuple[Record, TenantConnectError]] = []
        self._telling = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="users", daemon=True)

    def start(self) -> None:
        """Begin to read what is taken."""
        self._thread.start()

    async def close(self) -> None:
        """Stop reading, within `CLOSE_TIMEOUT_S`."""
        for partition in list(self._followed):
            self.drop(partition)
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, CLOSE_TIMEOUT_S)
        # A consumer must not be closed under a thread that uses it.
        if not self._thread.is_alive():
            await asyncio.to_thread(self._source.close)

    def take(self, partition: int) -> None:
        """Follow a partition, from the first record of the last hour on; what was known of it is read anew."""
        self.drop(partition)
        caught_up: asyncio.Future[None] = self._loop.create_future()
        following = Following(partition, self._partitions, self._now_ms(), self.tally, caught_up)
        with self._lock:
            self._followed[partition] = following

    def drop(self, partition: int) -> None:
        """Follow a partition no longer, and forget what is known of it; fine where it is not followed."""
        with self._lock:
            following = self._followed.pop(partition, None)
        if following is not None:
            forsake(following, OwnershipLost(f"{self._topic}:{partition} is not followed any more"))

    async def caught_up(self, partition: int) -> None:
        """Return when everything was read that stood in the partition when it was taken.

        Raises:
            KafkaUnreachable: it was not read within `CATCH_UP_TIMEOUT_S`; reading goes on.
            OwnershipLost: the partition is not followed, or was dropped meanwhile.
        """
        following = self._followed.get(partition)
        if following is None:
            raise OwnershipLost(f"{self._topic}:{partition} is not followed")
        try:
            async with asyncio.timeout(CATCH_UP_TIMEOUT_S):
                await asyncio.shield(following.caught_up)
        except TimeoutError:
            raise KafkaUnreachable(f"{self._topic}:{partition} was not read to its end in time") from None

    def known(self, partition: int) -> bool:
        """Whether the partition is followed, and was read as far as it went when it was taken."""
        following = self._followed.get(partition)
        return following is not None and following.known

    def ask(self, partition: int, question: Callable[[Counts, int], Answer], unknown: Answer) -> Answer:
        """Ask the counts of a partition as of now; ``unknown`` where it is not followed."""
        following = self._followed.get(partition)
        if following is None:
            return unknown
        with self._lock:
            return question(following.counts, self._now_ms())

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                with self._lock:
                    followed = dict(self._followed)
                self._source.turn_to(followed)
                self._take_in(self._source.read())
        except Exception as error:  # noqa: BLE001  whatever ends the thread has to end the worker
            self._tell(self._failed, error)

    def _take_in(self, records: Sequence[Record]) -> None:
        now_ms = self._now_ms()
        read_now = self._source.read_now
        with self._lock:
            for record in records:
                following = read_now[record.partition]
                error = following.take_in(record, now_ms)
                if error is not None:
                    self._put_aside(following, record, error)
            for following in read_now.values():
                following.pass_time(now_ms)
            if not self._telling and (self._waiting or any(following.has_news for following in read_now.values())):
                self._telling = True
                self._tell(self._tell_all)
        self._left_out.look(self.tally, self._topic)

    def _put_aside(self, following: Following, record: Record, error: TenantConnectError) -> None:
        self._left_out.last = f"{self._topic}:{record.partition}:{record.offset}: {error}"
        if following.is_recent(record) and len(self._waiting) < UNREADABLE_WAITING_MAX:
            self._waiting.append((record, error))
        else:
            self.tally.unparked += 1

    def _tell_all(self) -> None:
        """Tell what has changed since the last time. Of what is followed no longer nobody is told."""
        with self._lock:
            self._telling = False
            waiting, self._waiting = self._waiting, []
            turned = [tenant for following in self._followed.values() for tenant in following.take_news()]
        for tenant in turned:
            self._turned(tenant)
        for record, error in waiting:
            self._unreadable(record, error)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Call in the event loop; nothing is left to be told once the view is closed."""
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(what, *arguments)
