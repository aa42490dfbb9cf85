"""The read index: where partitions end now, asked once for everybody who waits.

An owner that answers without writing asks for the end of its events partition. When nothing was appended
behind its back, its state is current at a moment within the caller's request, and the answer is exact.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
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


class _Lane:
    """Questions that are asked together: those that come while a request is under way are in the next one."""

    __slots__ = ("asking", "waiting")

    def __init__(self) -> None:
        self.waiting: defaultdict[Place, list[_Question]] = defaultdict(list)
        self.asking: asyncio.Task[None] | None = None


class Ends:
    """Asks for end offsets, in one request at a time for all who wait meanwhile.

    A request is answered when its slowest leader is, so partitions whose leader gave no answer are asked in a request
    of their own, and nobody else waits for them.
    """

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self._unanswered: set[Place] = set()
        self._usual = _Lane()
        self._doubtful = _Lane()

    async def end(self, topic: str, partition: int) -> int:
        """The offset that the next record of the partition gets; asked after this call began.

        Raises:
            KafkaUnreachable: no broker answered for the partition within `PATIENCE_S`.
        """
        place = topic, partition
        question = _Question(asyncio.get_running_loop())
        self._enter(self._doubtful if place in self._unanswered else self._usual, place, [question])
        return await question.answered

    def _enter(self, lane: _Lane, place: Place, questions: list[_Question]) -> None:
        lane.waiting[place] += questions
        if lane.asking is None or lane.asking.done():
            lane.asking = asyncio.get_running_loop().create_task(self._ask(lane))

    async def _ask(self, lane: _Lane) -> None:
        while lane.waiting:
            if lane is self._doubtful:
                await asyncio.to_thread(self._refresh, list(lane.waiting))
                await asyncio.sleep(RETRY_INTERVAL_S)
            waiting, lane.waiting = lane.waiting, defaultdict(list)
            timeout_s = max(question.timeout_s for questions in waiting.values() for question in questions)
            try:
                found = self._client.list_offsets(
                    {TopicPartition(*place): _LATEST for place in waiting}, request_timeout=timeout_s
                )
                for place, result in found.items():
                    await self._take((place.topic, place.partition), waiting[place.topic, place.partition], result)
            except Exception as error:  # noqa: BLE001  whoever asked is told, and the next ones are asked for all the same
                _refuse(waiting, str(error))

    async def _take(self, place: Place, questions: list[_Question], result: Future[Any]) -> None:
        """Answer those who asked, or have them asked again."""
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT_S):
                end = _known((await asyncio.wrap_future(result)).offset)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if not passes(reason) or asyncio.get_running_loop().time() >= questions[0].deadline:
                _refuse({place: questions}, reason.str())
                return
            for question in questions:
                question.timeout_s = min(2 * question.timeout_s, REQUEST_TIMEOUT_S)
            self._unanswered.add(place)
            self._enter(self._doubtful, place, questions)
        except TimeoutError:
            _refuse({place: questions}, "no answer in time")
        else:
            self._unanswered.discard(place)
            for question in questions:
                question.answer(end)

    def _refresh(self, places: list[Place]) -> None:
        """Forget who led the partitions before: the client would go on asking with an epoch that is over."""
        for topic in {topic for topic, _ in places}:
            # The next request says what is wrong, within the asker's bound.
            with contextlib.suppress(KafkaException):
                self._client.list_topics(topic, timeout=REFRESH_TIMEOUT_S)


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
