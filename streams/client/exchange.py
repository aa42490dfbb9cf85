"""Commands out, replies in: one producer, and one consumer at the end of one partition of the replies topic.

A command without an answer is sent again under the same id: the owner may have died together with the
callers it remembered, and to one that has decided it already the repetition is no second command.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from statemachine.errors import InvalidCommand
from streams.errors import DeliveryFailed, KafkaUnreachable, OwnerUnavailable, TopicsDiffer
from streams.kafka.clients import consumer, reachable, repeating_producer
from streams.log.reader import REQUEST_TIMEOUT_S, stretch
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.command import ReplyTo
from streams.wire.reply import Reply, decode_reply

COMMANDS_IN_FLIGHT_MAX: Final = 10_000
"""Commands of one client that wait for their answers at once; one more waits for its turn."""

RESEND_INTERVAL_S: Final = 2.0
"""How long a command waits for its answer before it is sent again."""

POLL_INTERVAL_S: Final = 0.1
"""How long the listening thread waits for a reply before it looks for delivery reports and whether to stop."""

CLOSE_TIMEOUT_S: Final = 5.0
"""How long closing waits for the listening thread, and as long again for records on their way."""

log = structlog.get_logger(__name__)


class Awaited:
    """A command on its way.

    Attributes:
        answered: its answer.
        underway: copies of it that Kafka has not acknowledged.
        undelivered: what became of the last copy that failed, None where one was acknowledged since.
    """

    __slots__ = ("answered", "undelivered", "underway")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[Reply] = loop.create_future()
        self.underway = 0
        self.undelivered: str | None = "not acknowledged yet"


class Exchange:
    """Sends commands and hears their replies.

    Args:
        settings: where Kafka is, and the topic prefix.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topics = Topics(settings)
        self._awaited: dict[str, Awaited] = {}
        self._claims: dict[tuple[str, int], int] = {}
        self._room = asyncio.Semaphore(COMMANDS_IN_FLIGHT_MAX)
        self._closing = threading.Event()

    async def open(self) -> None:
        """Find the end of the replies, and listen from there.

        Raises:
            KafkaUnreachable: no broker answered.
            TopicsDiffer: there is no replies topic.
        """
        self._loop = asyncio.get_running_loop()
        self._consumer, self.address = await asyncio.to_thread(_listener, self._settings, self._topics.replies)
        self._producer: Producer = repeating_producer(self._settings)
        self._thread = threading.Thread(target=self._listen, name="replies", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Stop within a bound; whoever still waits learns that nobody answers any more."""
        self._closing.set()
        for awaited in self._awaited.values():
            _fail(awaited, OwnerUnavailable("the client was closed before the answer came"))
        await asyncio.to_thread(self._shut)

    async def ask(self, tenant: str, command_id: str, body: Callable[[float], bytes], timeout_s: float) -> Reply:
        """Send a command until it is answered.

        Args:
            tenant: the record's key.
            command_id: the command's id.
            body: gives the record's bytes, from the seconds that have passed since it was sent first.
            timeout_s: how long to wait for the answer, in seconds.

        Raises:
            OwnerUnavailable: nobody answered in time.
            KafkaUnreachable: Kafka did not even acknowledge the command in time.
            DeliveryFailed: the command cannot be sent.
        """
        began = self._loop.time()
        deadline = began + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                await self._room.acquire()
        except TimeoutError:
            raise OwnerUnavailable(f"{COMMANDS_IN_FLIGHT_MAX} commands of this client wait for their answers") from None
        try:
            with self._awaiting(command_id) as awaited:
                while (left := deadline - self._loop.time()) > 0 and not awaited.answered.done():
                    self._post(tenant, body(self._loop.time() - began), awaited)
                    await asyncio.wait({awaited.answered}, timeout=min(left, RESEND_INTERVAL_S))
                return _answer(awaited, f"command {command_id} of tenant {tenant!r}", timeout_s)
        finally:
            self._room.release()

    async def deliver(self, topic: str, key: str, value: bytes, timeout_s: float) -> None:
        """Send a record that nobody answers, and return when Kafka has acknowledged it.

        Raises:
            DeliveryFailed: it was not acknowledged in time.
        """
        delivered: asyncio.Future[KafkaError | None] = self._loop.create_future()

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._tell(_resolve, delivered, error)

        self._produce(topic, key, value, on_delivery)
        try:
            async with asyncio.timeout(timeout_s):
                error = await delivered
        except TimeoutError:
            raise DeliveryFailed(f"{topic}: no acknowledgement within {timeout_s:g} s") from None
        if error is not None:
            raise DeliveryFailed(f"{topic}: {error.str()}")

    @contextmanager
    def _awaiting(self, command_id: str) -> Iterator[Awaited]:
        if command_id in self._awaited:
            raise InvalidCommand(f"command {command_id} is on its way already; give each command an id of its own")
        awaited = self._awaited[command_id] = Awaited(self._loop)
        try:
            yield awaited
        finally:
            del self._awaited[command_id]

    def _post(self, tenant: str, body: bytes, awaited: Awaited) -> None:
        """Send a copy, unless an earlier one has not even reached Kafka: the next would only queue behind it."""
        if awaited.underway:
            return
        awaited.underway += 1

        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            self._tell(_delivered, awaited, error)

        self._produce(self._topics.commands, tenant, body, on_delivery)

    def _produce(
        self, topic: str, key: str, value: bytes, on_delivery: Callable[[KafkaError | None, Message], None]
    ) -> None:
        try:
            self._producer.produce(topic, value=value, key=key, on_delivery=on_delivery)
        except (BufferError, KafkaException) as error:
            raise DeliveryFailed(f"{topic}: {error}") from error

    def _listen(self) -> None:
        """The listening thread: hands replies that somebody waits for to the loop, and drops other clients'."""
        try:
            while not self._closing.is_set():
                self._producer.poll(0)
                message = self._consumer.poll(POLL_INTERVAL_S)
                if message is not None:
                    self._hear(message)
        except KafkaException as error:
            self._tell(self._fail_all, KafkaUnreachable(f"{self._topics.replies}: {error.args[0].str()}"))

    def _hear(self, message: Message) -> None:
        error = message.error()
        if error is not None:
            if error.fatal():
                raise KafkaException(error)
            log.warning("client.replies_disturbed", topic=self._topics.replies, message=error.str())
            return
        key: Any = message.key()
        if key is not None and key.decode(errors="replace") in self._awaited:
            self._tell(self._receive, message.value())

    def _receive(self, value: bytes | None) -> None:
        try:
            reply = decode_reply(value or b"")
        except msgspec.MsgspecError as error:
            log.warning("client.reply_unreadable", topic=self._topics.replies, message=str(error))
            return
        awaited = self._awaited.get(reply.command or "")
        if awaited is None or awaited.answered.done() or self._is_deposed(reply):
            return
        awaited.answered.set_result(reply)

    def _is_deposed(self, reply: Reply) -> bool:
        """Whether a later owner of the same partition was heard before: then this one's answer counts no more."""
        if reply.position is None or reply.claim is None:
            return False
        place = (reply.position.topic, reply.position.partition)
        if reply.claim < self._claims.get(place, reply.claim):
            return True
        self._claims[place] = reply.claim
        return False

    def _fail_all(self, error: Exception) -> None:
        for awaited in self._awaited.values():
            _fail(awaited, error)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Call in the event loop; nothing is left to be told once the client is closed."""
        if not self._closing.is_set():
            self._loop.call_soon_threadsafe(what, *arguments)

    def _shut(self) -> None:
        self._thread.join(CLOSE_TIMEOUT_S)
        if self._producer.flush(CLOSE_TIMEOUT_S):
            self._producer.purge()
        self._consumer.close()


def _listener(settings: Settings, topic: str) -> tuple[Consumer, ReplyTo]:
    """A consumer at the end of a partition of the replies, and the partition's address.

    The end is asked for and assigned as a number: a reply to whatever is sent from now on stands behind it.
    """
    reachable(settings)
    listener = consumer(settings, f"{topic}.client")
    try:
        place = _end_of_any_partition(listener, topic)
        listener.assign([place])
    except BaseException:
        listener.close()
        raise
    return listener, ReplyTo(topic, place.partition)


def _end_of_any_partition(listener: Consumer, topic: str) -> TopicPartition:
    try:
        partitions = listener.list_topics(topic, timeout=REQUEST_TIMEOUT_S).topics[topic].partitions
    except KafkaException as error:
        raise KafkaUnreachable(f"{topic}: {error.args[0].str()}") from error
    if not partitions:
        raise TopicsDiffer(f"{topic} is missing")
    chosen = stretch(listener, topic, secrets.choice(sorted(partitions)))
    return TopicPartition(topic, chosen.partition, chosen.end)


def _answer(awaited: Awaited, what: str, timeout_s: float) -> Reply:
    if awaited.answered.done():
        return awaited.answered.result()
    if awaited.undelivered is not None:
        raise KafkaUnreachable(f"{what} did not reach Kafka within {timeout_s:g} s: {awaited.undelivered}")
    raise OwnerUnavailable(f"no worker answered {what} within {timeout_s:g} s")


def _delivered(awaited: Awaited, error: KafkaError | None) -> None:
    awaited.underway -= 1
    awaited.undelivered = None if error is None else error.str()


def _fail(awaited: Awaited, error: Exception) -> None:
    if not awaited.answered.done():
        awaited.answered.set_exception(error)


def _resolve(future: asyncio.Future[KafkaError | None], error: KafkaError | None) -> None:
    if not future.done():
        future.set_result(error)
