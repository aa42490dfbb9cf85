"""The read index: where partitions end now, asked once for everybody who waits.

An owner that answers without writing asks for the end of its events partition. When nothing was appended
behind its back, its state is current at a moment within the caller's request, and the answer is exact.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition, admin
from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnreachable
from streams.kafka.passing import passes

FIRST_TIMEOUT_S: Final = 1.0
"""How long the first request for end offsets may take; each one after it twice as long.

The client waits so long for a leader that is gone, although there is a new one meanwhile; and as long as it waits it
connects without a pause (librdkafka 2.16, where connections are refused: 15,000 times a second and more, whatever
``reconnect.backoff.ms`` is)."""

REQUEST_TIMEOUT_S: Final = 8.0
"""How long one request for end offsets may take at the most."""

PATIENCE_S: Final = 30.0
"""How long a broker or a partition's leader may be away before whoever waits for an end is refused."""

RETRY_INTERVAL_S: Final = 0.1
"""How soon a partition that could not be asked is asked again."""

REFRESH_TIMEOUT_S: Final = 2.0
"""How long asking who leads a partition now may take."""

_LATEST: Final[Any] = vars(admin)["OffsetSpec"].latest()

Place = tuple[str, int]
"""Topic and partition."""


class _Question:
    """Where one partition ends: who wants to know, and until when it is asked again."""

    __slots__ = ("answered", "deadline", "timeout_s")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[int] = loop.create_future()
        self.deadline = loop.time() + PATIENCE_S
        self.timeout_s = FIRST_TIMEOUT_S

    def answer(self, offset: int) -> None:
        if not self.answered.done():
            self.answered.set_result(offset)

    def refuse(self, problem: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(KafkaUnreachable(f"end offsets: {problem}"))


class Ends:
    """Asks for end offsets, one request at a time for all who wait meanwhile."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self._waiting: defaultdict[Place, list[_Question]] = defaultdict(list)
        self._asking: asyncio.Task[None] | None = None

    async def end(self, topic: str, partition: int) -> int:
        """The offset that the next record of the partition gets; asked after this call began.

        Raises:
            KafkaUnreachable: no broker answered for the partition within `PATIENCE_S`.
        """
        loop = asyncio.get_running_loop()
        question = _Question(loop)
        self._waiting[topic, partition].append(question)
        if self._asking is None or self._asking.done():
            self._asking = loop.create_task(self._ask())
        return await question.answered

    async def _ask(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, defaultdict(list)
            timeout_s = max(question.timeout_s for questions in waiting.values() for question in questions)
            try:
                found = self._client.list_offsets(
                    {TopicPartition(*place): _LATEST for place in waiting}, request_timeout=timeout_s
                )
                again = [place async for place in self._unanswered(waiting, found)]
            except Exception as error:
                _refuse(waiting, str(error))
                raise
            for place in again:
                for question in waiting[place]:
                    question.timeout_s = min(2 * timeout_s, REQUEST_TIMEOUT_S)
                self._waiting[place] += waiting[place]
            if again:
                await asyncio.to_thread(self._refresh, again)
                await asyncio.sleep(RETRY_INTERVAL_S)

    def _refresh(self, places: list[Place]) -> None:
        """Forget who led the partitions before: the client would go on asking with an epoch that is over."""
        for topic in {topic for topic, _ in places}:
            # The next request says what is wrong, within the asker's bound.
            with contextlib.suppress(KafkaException):
                self._client.list_topics(topic, timeout=REFRESH_TIMEOUT_S)

    async def _unanswered(
        self, waiting: dict[Place, list[_Question]], found: dict[TopicPartition, Future[Any]]
    ) -> AsyncIterator[Place]:
        """Answer what can be answered; gives the places that are to be asked again."""
        for place, result in found.items():
            questions = waiting[place.topic, place.partition]
            try:
                async with asyncio.timeout(2 * REQUEST_TIMEOUT_S):
                    end = _known((await asyncio.wrap_future(result)).offset)
            except KafkaException as error:
                reason: KafkaError = error.args[0]
                now = asyncio.get_running_loop().time()
                if passes(reason) and now < questions[0].deadline:
                    yield place.topic, place.partition
                else:
                    _refuse({(place.topic, place.partition): questions}, reason.str())
            except TimeoutError:
                _refuse({(place.topic, place.partition): questions}, "no answer in time")
            else:
                for question in questions:
                    question.answer(end)


def _known(offset: int) -> int:
    """The offset, if it is one.

    Where a leader is connected and silent, the client gives ``OFFSET_INVALID`` as if it were the answer, and no error
    (librdkafka 2.16). Taken for an end, it would prove that nothing was appended, by asking nobody.

    Raises:
        KafkaException: it is none.
    """
    if offset < 0:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer"))  # noqa: SLF001  its public name
    return offset


def _refuse(waiting: dict[Place, list[_Question]], problem: str) -> None:
    for questions in waiting.values():
        for question in questions:
            question.refuse(problem)
