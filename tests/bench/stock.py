"""The measured process of the other side: a plain Faust application, as Faust's own guide would have it written.

An agent reads commands, keeps a dictionary per tenant in a table with Faust's own changelog, and sends an
event per command. The rules are reduced to pausing and resuming; there are no claims, no hash chain, no replies.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import faust
from faust.types import TP, EventT

from tests.bench.milestones import Milestones

COMMANDS = "stock-commands"
EVENTS = "stock-events"

State = dict[str, Any]


def decided(state: State, command: dict[str, Any], tenant: str) -> dict[str, Any] | None:
    """The event that a command leads to, None for none."""
    if command["type"] == "pause":
        kind = "paused"
    elif command["type"] == "resume" and state["paused"]:
        kind = "resumed"
    else:
        return None
    return {"tenant": tenant, "sequence": state["sequence"] + 1, "type": kind, "time": time.time()}


def folded(state: State, event: dict[str, Any]) -> State:
    """The state after an event."""
    return {**state, "sequence": event["sequence"], "paused": event["type"] == "paused", "time": event["time"]}


def create_app(kafka: str, prefix: str, partitions: int, milestones: Milestones) -> faust.App:
    """The application; its settings are Faust's own but for what it is told here."""

    class TimedTable(faust.Table):  # type: ignore[type-arg]  # Faust makes tables from the bare class
        """A table that notes when it was assigned partitions and when it was recovered."""

        records = 0

        async def on_rebalance(
            self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
        ) -> None:
            milestones.reached("assigned")
            await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)

        def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
            events = list(batch)
            self.records += len(events)
            super().apply_changelog_batch(events)

        async def on_recovery_completed(self, active_tps: set[TP], standby_tps: set[TP]) -> None:
            await super().on_recovery_completed(active_tps, standby_tps)
            milestones.reached("owned", self.records)

    app = faust.App(
        f"{prefix}.stock",
        broker=";".join(f"kafka://{address}" for address in kafka.split(",")),
        store="memory://",
        topic_partitions=partitions,
        web_enabled=False,
        Table=TimedTable,
    )
    commands = app.topic(f"{prefix}.{COMMANDS}", key_type=str, value_serializer="json")
    events = app.topic(f"{prefix}.{EVENTS}", key_type=str, value_serializer="json")
    states = app.Table("states", key_type=str, value_type=None, partitions=partitions)

    async def decide(stream: Any) -> None:
        async for tenant, command in stream.items():
            state = states.get(tenant) or {"sequence": 0, "paused": False, "time": None}
            event = decided(state, command, tenant)
            if event is not None:
                states[tenant] = folded(state, event)
                await events.send(key=tenant, value=event)

    app.agent(commands)(decide)
    return app


async def work(kafka: str, prefix: str, partitions: int, milestones: Milestones) -> None:
    """Run the application until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    app = create_app(kafka, prefix, partitions, milestones)
    app.finalize()
    await app.start()
    await stop.wait()
    await app.stop()


def main() -> None:
    """Arguments: file of milestones, bootstrap servers, prefix of topics, number of partitions."""
    asyncio.run(work(sys.argv[2], sys.argv[3], int(sys.argv[4]), Milestones(Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
