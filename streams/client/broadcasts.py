"""Following the broadcasts of a region: rows of tenants' databases, without those that a deposed owner still sent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from streams.history.follow import Start, check_moment
from streams.history.source import KafkaTail
from streams.kafka.clients import consumer_configuration, reachable
from streams.kafka.partitioner import partition_of
from streams.log.reader import Stretch, open_consumer, stretches
from streams.settings import Settings
from streams.topics import Topics
from streams.wire.broadcast import Broadcast, decode_broadcast


class BroadcastFollower:
    """Reads broadcasts from ``start`` on. A duplicate has the id of the row that it repeats, and is given too.

    Blocking: run it outside the event loop. Close it in the end.

    Args:
        settings: where Kafka is, topic prefix and region.
        tenants: whose; everybody's, where there are none.
        start: ``now``, ``start`` for all that is kept, or a moment (aware) of their arrival.

    Raises:
        InputInvalid: ``start`` is a time without a zone.
        KafkaUnreachable: no broker answered, or there is no such topic.
    """

    def __init__(self, settings: Settings, tenants: Sequence[str], start: Start) -> None:
        check_moment(start)
        reachable(settings)
        topic = Topics(settings).broadcasts
        # No offset is ever committed: the name of the group is only a name.
        configuration = consumer_configuration(settings, f"{topic}.follower")
        with open_consumer(configuration) as consumer:
            every = stretches(consumer, topic)
        places = {partition_of(tenant, len(every)) for tenant in tenants}
        wanted = [stretch for stretch in every if not tenants or stretch.partition in places]
        self._tenants = frozenset(tenants)
        self._since_ms = start.timestamp() * 1000 if isinstance(start, datetime) else None
        self._claims: dict[int, int] = {}
        self._tail = KafkaTail(configuration, topic, [_from(stretch, start) for stretch in wanted])

    def poll(self) -> list[Broadcast]:
        """The next broadcasts; may be empty. Waits for a bounded time.

        Raises:
            RecordUnreadable: a record is no broadcast.
            KafkaUnreachable: the broker refused.
        """
        found: list[Broadcast] = []
        for record in self._tail.poll():
            if self._since_ms is not None and record.timestamp_ms < self._since_ms:
                continue
            broadcast = decode_broadcast(record.value, f"{record.partition}:{record.offset}")
            if self._counts(record.partition, broadcast) and self._is_wanted(broadcast):
                found.append(broadcast)
        return found

    def close(self) -> None:
        """Give the connection up."""
        self._tail.close()

    def _counts(self, partition: int, broadcast: Broadcast) -> bool:
        """A claim below one that the partition has seen is a deposed owner's."""
        highest = self._claims.get(partition, -1)
        if broadcast.claim < highest:
            return False
        self._claims[partition] = broadcast.claim
        return True

    def _is_wanted(self, broadcast: Broadcast) -> bool:
        return not self._tenants or broadcast.tenant in self._tenants


def _from(stretch: Stretch, start: Start) -> Stretch:
    return Stretch(stretch.partition, stretch.end, stretch.end) if start == "now" else stretch
