"""What measures and harms has to be right, too: silence, looks at sessions, points to die at, clocks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from streams.devstack.process import free_port
from tests.chaos.evidence import Call, Evidence, Life, Session
from tests.chaos.gates import Gate, gate
from tests.chaos.outages import Outage, outages_of
from tests.chaos.ownership import Claims, Holdings
from tests.chaos.stage import Fault
from tests.chaos.watching import count, note
from tests.chaos.worker import POINTS, clock_of, dying


def answered(*moments: float) -> list[Call]:
    reply = {"outcome": "ok"}
    return [Call(f"{moment}", "t1", "status", moment - 0.1, moment, reply) for moment in moments]


def test_silence_is_the_longest_time_between_two_answers_around_a_fault() -> None:
    calls = answered(1, 2, 3, 8, 9, 10)

    assert list(outages_of(calls, [Fault("frozen", 2.5, 6.0)], 1)) == [Outage("frozen", 3.5, 5.0)]


def test_silence_counts_for_the_fault_in_whose_time_it_began() -> None:
    faults = [Fault("first", 2.0, 4.0), Fault("second", 20.0, 21.0)]

    found = list(outages_of(answered(1, 3, 9, 10, 19, 20.5, 22), faults, 1))

    assert [outage.silent for outage in found] == [9.0, 1.5]


def test_silence_that_began_a_moment_before_a_fault_is_its_own_and_not_that_of_the_one_before() -> None:
    faults = [Fault("first", 2.0, 4.0), Fault("second", 20.0, 21.0)]

    found = list(outages_of(answered(1, 2.5, 3, *range(4, 20), 19.9, 28), faults, 1))

    assert [outage.silent for outage in found] == [1.0, 8.0]


def test_a_refusal_is_no_answer_to_somebody_who_asks_whether_there_is_service() -> None:
    calls = answered(1, 5)
    calls.append(Call("refused", "t1", "connect", 2.9, 3.0, {"outcome": "error"}))

    assert next(outages_of(calls, [Fault("frozen", 1.0, 2.0)], 1)).silent == 4.0


def test_looks_that_show_the_same_are_one_sight() -> None:
    evidence = Evidence()
    row = {"datname": "t1", "pid": 7, "claim": 3, "holder": True}

    for moment in (1.0, 2.0):
        note(evidence, moment, [row])
    note(evidence, 3.0, [])
    note(evidence, 4.0, [])

    shown = [(sight.first, sight.last, set(sight.sessions)) for sight in evidence.sights["t1"]]
    assert shown == [(1.0, 2.0, {Session(7, 3, holder=True)}), (3.0, 4.0, set())]


def claims_of(*ranks: tuple[int, int]) -> Claims:
    """Claims on partition 3, one after the other, at the offsets 0, 10, 20, …"""
    claims = Claims()
    for number, (term, generation) in enumerate(ranks):
        body = {"type": "connect.claimed", "data": {"term": term, "generation": generation, "worker": "any"}}
        claims.note(3, 10 * number, json.dumps(body).encode())
    return claims


def held(*lines: dict[str, object]) -> dict[int, int]:
    """What a process holds that logged this."""
    holdings = Holdings()
    for line in lines:
        holdings.read(json.dumps(line).encode())
    return holdings.held


CLAIMED: Final[dict[str, object]] = {"event": "partition.claimed", "partition": 3, "claim": 0}
READY: Final[dict[str, object]] = {"event": "worker.ready", "partitions": [3]}
RELEASED: Final[dict[str, object]] = {"event": "partition.released", "partition": 3}


def test_a_worker_owns_what_it_holds_by_the_newest_claim() -> None:
    assert claims_of((1, 1)).owned(held(CLAIMED, READY)) == [3]


def test_a_worker_that_was_deposed_owns_nothing_whatever_it_said_last() -> None:
    assert claims_of((1, 1), (1, 2)).owned(held(CLAIMED, READY)) == []


def test_a_worker_that_let_go_owns_nothing_though_nobody_followed_yet() -> None:
    assert claims_of((1, 1)).owned(held(CLAIMED, READY, RELEASED)) == []


def test_a_claim_that_does_not_count_deposes_nobody() -> None:
    assert claims_of((1, 2), (1, 1)).owned(held(CLAIMED, READY)) == [3]


Writer = asyncio.StreamWriter

GATED_S: Final = 10.0
"""How long something may take to come through a gate."""


def request(key: int, body: bytes) -> bytes:
    """A request as Kafka frames it."""
    return (len(body) + 2).to_bytes(4, "big") + key.to_bytes(2, "big") + body


@asynccontextmanager
async def gated(arrived: asyncio.Queue[bytes]) -> AsyncIterator[tuple[Gate, Callable[[], Awaitable[Writer]]]]:
    """A gate to somebody who notes what arrives, and how to connect to it."""

    async def broker(reader: asyncio.StreamReader, writer: Writer) -> None:
        while data := await reader.read(1000):
            await arrived.put(data)
        writer.close()

    async def connect() -> Writer:
        writers.append((await asyncio.open_connection("127.0.0.1", way.port))[1])
        return writers[-1]

    writers: list[Writer] = []
    server = await asyncio.start_server(broker, "127.0.0.1", 0)
    async with server, gate(free_port(), server.sockets[0].getsockname()[1]) as way, asyncio.timeout(GATED_S):
        yield way, connect
        for writer in writers:
            writer.close()
            await writer.wait_closed()


async def test_a_gate_holds_fetches_back_and_lets_heartbeats_pass() -> None:
    fetch, heartbeat, arrived = request(1, b"fetch"), request(12, b"heartbeat"), asyncio.Queue[bytes]()

    async with gated(arrived) as (way, connect):
        way.hold()
        (await connect()).write(fetch)
        (await connect()).write(heartbeat)
        first = await arrived.get()
        way.release()
        second = await arrived.get()

    assert [first, second] == [heartbeat, fetch]


async def test_a_connection_that_fell_silent_carries_nothing_and_one_made_later_does() -> None:
    before, lost, after, arrived = (
        request(3, b"before"),
        request(3, b"lost"),
        request(3, b"after"),
        asyncio.Queue[bytes](),
    )

    async with gated(arrived) as (way, connect):
        silent = await connect()
        silent.write(before)
        first = await arrived.get()
        way.mute()
        silent.write(lost)
        (await connect()).write(after)
        second = await arrived.get()

    assert [first, second] == [before, after]
    assert arrived.empty()


def test_looks_at_a_process_that_goes_on_are_one_life() -> None:
    evidence = Evidence()

    for moment, pid, frozen in ((1.0, 7, False), (2.0, 7, False), (3.0, 7, True), (4.0, 8, False)):
        count(evidence, "w1", Life(pid, frozen, moment, moment))

    assert evidence.lives["w1"] == [Life(7, False, 1.0, 2.0), Life(7, True, 3.0, 3.0), Life(8, False, 4.0, 4.0)]


@pytest.mark.parametrize("point", POINTS)
def test_every_point_to_die_at_is_there(point: str) -> None:
    owner, method, replacement = dying(point, 1)

    assert vars(owner)[method] is not replacement


def test_a_clock_is_as_wrong_as_its_file_says(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_text("3600")

    ahead = clock_of(file)() - datetime.now(UTC)

    assert timedelta(minutes=59) < ahead < timedelta(minutes=61)
