"""The registry as a Faust table whose changelog is the events topic itself.

Faust recovers the table, keeps standbys and follows rebalances; what it reads goes to the registry, which
folds it. Nothing is ever written through the table: a second copy of the truth could drift from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import faust
from faust.tables.table import Table
from faust.types import TP, AppT, EventT, TopicT

from statemachine.state import TenantState
from streams.errors import OwnershipLost
from streams.registry.registry import Registry


class RunSchema(faust.Schema[Any, Any]):
    """Messages are handed on as they came: decoding is the handlers'."""

    def loads_key(self, app: AppT, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002  Faust's signature
        """The message's own key."""
        return message.key

    def loads_value(self, app: AppT, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:  # noqa: ARG002  Faust's signature
        """The message's own value."""
        return message.value


class RegistryTable(Table[str, TenantState]):
    """Faust's view of the registry.

    Args:
        app: the Faust app.
        registry: what it reads is folded there.
        changelog: the events topic.
        failed: told of a failure that the worker cannot survive; Faust would only log it.
        lose: told of a partition that turned out to be another worker's.
    """

    def __init__(
        self,
        app: AppT,
        registry: Registry,
        changelog: TopicT,
        failed: Callable[[Exception], None],
        lose: Callable[[int, OwnershipLost], None],
        **options: Any,
    ) -> None:
        super().__init__(app, name="registry", changelog_topic=changelog, **options)
        self._registry = registry
        self._failed = failed
        self._lose = lose

    def __setitem__(self, key: str, value: TenantState) -> None:
        """A state is what its events made it."""
        raise TypeError("the registry changes by events only")

    def __delitem__(self, key: str) -> None:
        """A state is what its events made it."""
        raise TypeError("the registry changes by events only")

    def persisted_offset(self, tp: TP) -> int | None:
        """Offset of the last record folded, -1 for none; None would make Faust use a counter of its own."""
        return self._registry.folded(tp.partition)

    async def need_active_standby_for(self, tp: TP) -> bool:  # noqa: ARG002  Faust's signature
        """State is in memory, so every partition is to be read."""
        return True

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """Fold the runs that recovery read."""
        try:
            for event in batch:
                run: Any = event.value
                self._registry.fold(run.partition, run.records)
        except Exception as error:  # noqa: BLE001  Faust would log it and go on with a wrong state
            self._failed(error)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Claim what is new. A standby that becomes active is not newly assigned: the actives are compared."""
        name = self.changelog_topic_name
        assignor = self.app.assignor
        actives = {tp.partition for tp in assignor.assigned_actives() if tp.topic == name}
        standbys = {tp.partition for tp in assignor.assigned_standbys() if tp.topic == name}
        try:
            await self._registry.assign(actives, generation_id, standbys)
        except Exception as error:
            self._failed(error)
            raise
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

    async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
        """Own what was claimed."""
        try:
            lost = await self._registry.recovered(self._prove)
        except Exception as error:  # noqa: BLE001  Faust would drop it
            self._failed(error)
            return
        for number in lost:
            self._lose(number, OwnershipLost(f"partition {number}: recovery found a newer owner's claim"))
        await super().on_recovery_completed(active_tps, standby_tps)

    async def _prove(self, partition: int) -> None:
        """A commit under the current generation succeeds only for a member of it."""
        consumer: Any = self.app.consumer
        events = self.changelog_topic_name
        inputs = [tp for tp in consumer.assignment() if tp.partition == partition and tp.topic != events]
        if not inputs or not await consumer.prove_membership(inputs[0]):
            raise OwnershipLost(f"partition {partition}: membership of the group could not be proved")
