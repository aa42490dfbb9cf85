"""The read index: where partitions end now, asked once for everybody who waits.

An owner that answers without writing asks for the end of its events partition. When nothing was appended
behind its back, its state is current at a moment within the caller's request, and the answer is exact.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import KafkaException, TopicPartition, admin
from confluent_kafka.admin import AdminClient

from streams.errors import KafkaUnreachable

REQUEST_TIMEOUT_S: Final = 10.0
"""How long one request for end offsets may take."""

_LATEST: Final[Any] = vars(admin)["OffsetSpec"].latest()


class Ends:
    """Asks for end offsets, one request at a time for all who wait meanwhile."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._waiting: dict[tuple[str, int], asyncio.Future[int]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def end(self, topic: str, partition: int) -> int:
        """The offset that the next record of the partition gets; asked after this call began.

        Raises:
            KafkaUnreachable: no broker answered.
        """
        place = (topic, partition)
        if place not in self._waiting:
            self._waiting[place] = asyncio.get_running_loop().create_future()
        found = self._waiting[place]
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(found)

    async def _ask(self) -> None:
        while self._waiting:
            waiting, self._waiting = self._waiting, {}
            try:
                await self._request(waiting)
            except KafkaException as error:
                self._refuse(waiting, KafkaUnreachable(f"end offsets: {error.args[0].str()}"))
            except TimeoutError:
                self._refuse(waiting, KafkaUnreachable("end offsets: no answer in time"))
            except Exception as error:
                self._refuse(waiting, KafkaUnreachable(f"end offsets: {error}"))
                raise

    async def _request(self, waiting: dict[tuple[str, int], asyncio.Future[int]]) -> None:
        wanted = {TopicPartition(*place): _LATEST for place in waiting}
        answers: dict[TopicPartition, Future[Any]] = self._admin.list_offsets(wanted, request_timeout=REQUEST_TIMEOUT_S)
        for place, answer in answers.items():
            result = await asyncio.wait_for(asyncio.wrap_future(answer), 2 * REQUEST_TIMEOUT_S)
            found = waiting[place.topic, place.partition]
            if not found.done():
                found.set_result(result.offset)

    @staticmethod
    def _refuse(waiting: dict[tuple[str, int], asyncio.Future[int]], error: KafkaUnreachable) -> None:
        for found in waiting.values():
            if not found.done():
                found.set_exception(error)
