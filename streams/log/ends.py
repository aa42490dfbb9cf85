"""The read index: where partitions end now, asked once for everybody who waits.

An owner that answers without writing asks for the end of its events partition. When nothing was appended
behind its back, its state is current at a moment within the caller's request, and the answer is exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition, admin
from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnreachable
from streams.kafka.passing import passes

FIRST_TIMEOUT_S: Final = 1.0
"""How long the first request to a leader may take; each one after it twice as long.

The client waits so long for a leader that is gone, although there is a new one meanwhile; and as long as it waits it
connects without a pause (librdkafka 2.16, where connections are refused: 15,000 times a second and more, whatever
``reconnect.backoff.ms`` is)."""

REQUEST_TIMEOUT_S: Final = 8.0
"""How long one request for end offsets may take at the most."""

LEADER_PAUSE_S: Final = 2.0
"""How long a leader that gave no answer is left alone; another one is asked at once."""

PATIENCE_S: Final = 30.0
"""How long a broker or a partition's leader may be away before whoever waits for an end is refused."""

LOOK_INTERVAL_S: Final = 0.1
"""How often it is looked at who leads a partition whose leader gave no answer."""

LOOK_TIMEOUT_S: Final = 2.0
"""How long such a look may take."""

_LATEST: Final[Any] = vars(admin)["OffsetSpec"].latest()

Place = tuple[str, int]
"""Topic and partition."""


class _Question:
    """Where one partition ends: who wants to know, and until when it is asked again."""

    __slots__ = ("answered", "deadline")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[int] = loop.create_future()
        self.deadline = loop.time() + PATIENCE_S

    def answer(self, offset: int) -> None:
        if not self.answered.done():
            self.answered.set_result(offset)

    def refuse(self, problem: str) -> None:
        if not self.answered.done():
            self.answered.set_exception(KafkaUnreachable(f"end offsets: {problem}"))


class _Doubt:
    """A partition whose leader gave no answer: which one that was, when it is asked again, and what it said."""

    __slots__ = ("again_at", "leader", "problem", "timeout_s")

    def __init__(self) -> None:
        self.leader: int | None = None
        self.again_at = math.inf
        self.problem = ""
        self.timeout_s = FIRST_TIMEOUT_S

    def is_due(self, leader: int | None, now: float) -> bool:
        """Whether to ask now that ``leader`` leads; None while nobody says who does."""
        return now >= self.again_at or leader not in {None, _NOBODY, self.leader}

    def ask(self, leader: int | None) -> None:
        """It is asked now."""
        if leader != self.leader:
            self.leader, self.timeout_s = leader, FIRST_TIMEOUT_S

    def fail(self, problem: str, now: float) -> None:
        """It gave no answer."""
        self.problem, self.again_at = problem, now + LEADER_PAUSE_S
        self.timeout_s = min(2 * self.timeout_s, REQUEST_TIMEOUT_S)


_NOBODY: Final = -1
"""The leader of a partition that has none."""

Questions = defaultdict[Place, list[_Question]]


class Ends:
    """Asks for end offsets, in one request at a time for all who wait meanwhile.

    A request is answered when its slowest leader is, so partitions whose leader gave no answer are asked apart, and
    nobody else waits for them.
    """

    def __init__(self, client: AdminClient) -> None:
        self._client = client
        self._waiting: Questions = defaultdict(list)
        self._asking: asyncio.Task[None] | None = None
        self._doubts: dict[Place, _Doubt] = {}
        self._doubtful: Questions = defaultdict(list)
        self._seeking: asyncio.Task[None] | None = None

    async def end(self, topic: str, partition: int) -> int:
        """The offset that the next record of the partition gets; asked after this call began.

        Raises:
            KafkaUnreachable: no broker answered for the partition within `PATIENCE_S`.
        """
        place, question = (topic, partition), _Question(asyncio.get_running_loop())
        if place in self._doubts:
            self._doubtful[place].append(question)
            self._seek()
        else:
            self._enter(place, [question])
        return await question.answered

    def _enter(self, place: Place, questions: list[_Question]) -> None:
        self._waiting[place] += questions
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask_all())

    async def _ask_all(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, defaultdict(list)
            await self._ask(waiting, FIRST_TIMEOUT_S)

    def _seek(self) -> None:
        if self._seeking is None or self._seeking.done():
            self._seeking = asyncio.get_running_loop().create_task(self._seek_leaders())

    async def _seek_leaders(self) -> None:
        """Ask those that gave no answer once another one leads, and the same one after a pause."""
        while self._doubtful:
            try:
                leaders = await asyncio.to_thread(self._leaders, {topic for topic, _ in self._doubtful})
            except Exception as error:  # noqa: BLE001  whoever asked is told
                _refuse(self._doubtful, str(error))
                self._doubtful.clear()
                return
            due = self._due(leaders, asyncio.get_running_loop().time())
            if due:
                await self._ask(due, max(self._doubts[place].timeout_s for place in due))
            await asyncio.sleep(LOOK_INTERVAL_S)

    def _due(self, leaders: Mapping[Place, int], now: float) -> Questions:
        """What is to be asked now; what is not, is refused when its time is over."""
        due: Questions = defaultdict(list)
        for place in list(self._doubtful):
            doubt, leader = self._doubts[place], leaders.get(place)
            if leader is None:
                # Once brokers say again who leads, it is asked, though it may be the one from before.
                doubt.leader = None
            if doubt.is_due(leader, now):
                doubt.ask(leader)
                due[place] = self._doubtful.pop(place)
            else:
                self._expire(place, now)
        return due

    def _expire(self, place: Place, now: float) -> None:
        """Refuse whoever has waited for too long."""
        questions = self._doubtful.pop(place)
        kept = [question for question in questions if now < question.deadline]
        _refuse({place: [each for each in questions if each not in kept]}, self._doubts[place].problem)
        if kept:
            self._doubtful[place] = kept

    def _trust(self, place: Place) -> None:
        """It gave an answer. Whoever asked meanwhile is not answered by it, which may be older than their question."""
        if self._doubts.pop(place, None) is not None and place in self._doubtful:
            self._enter(place, self._doubtful.pop(place))

    def _leaders(self, topics: set[str]) -> dict[Place, int]:
        """Who leads each partition, as far as anybody says.

        The look also makes the client forget who led before: it would go on asking with an epoch that is over.
        """
        found: dict[Place, int] = {}
        for topic in topics:
            # The next request says what is wrong, within the asker's bound.
            with contextlib.suppress(KafkaException):
                shown = self._client.list_topics(topic, timeout=LOOK_TIMEOUT_S).topics[topic]
                found |= {(topic, number): partition.leader for number, partition in shown.partitions.items()}
        return found

    async def _ask(self, waiting: Questions, timeout_s: float) -> None:
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
        now = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(2 * REQUEST_TIMEOUT_S):
                end = _known((await asyncio.wrap_future(result)).offset)
        except KafkaException as error:
            reason: KafkaError = error.args[0]
            if not passes(reason):
                _refuse({place: questions}, reason.str())
                return
            self._doubts.setdefault(place, _Doubt()).fail(reason.str(), now())
            self._doubtful[place] += questions
            self._expire(place, now())
            self._seek()
        except TimeoutError:
            _refuse({place: questions}, "no answer in time")
        else:
            for question in questions:
                question.answer(end)
            self._trust(place)


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
