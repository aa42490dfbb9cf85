"""Whether everything comes back by itself when all is mended: it is looked at, and nobody asks for a connection."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

from statemachine.commands import Status
from tests.chaos.evidence import Session
from tests.chaos.stage import LOOK_INTERVAL_S, Stage

ASKED_AT_ONCE: Final = 60
"""Tenants that are asked at once."""


async def recovered(stage: Stage) -> None:
    """Return when every tenant is answered for, and those with databases are as they are to be, without being asked to.

    Raises:
        AssertionError: somebody is not after ``stage.patience_s``.
    """
    deadline = time.monotonic() + stage.patience_s
    places = asyncio.Semaphore(ASKED_AT_ONCE)
    real = {*stage.cast.real, *stage.cast.newcomers}

    async def looked_at(tenant: str) -> str | None:
        async with places:
            while True:
                call = await stage.load.ask(tenant, Status(), timeout_s=stage.patience_s)
                wrong = f"is not answered for: {call.error or call.reply}"
                if call.ok and call.reply is not None:
                    found = _missing(stage, tenant, call.reply["status"]) if tenant in real else None
                    if found is None:
                        return None
                    wrong = found
                if time.monotonic() > deadline:
                    return f"{tenant} {wrong}"
                await asyncio.sleep(LOOK_INTERVAL_S)

    found = await asyncio.gather(*map(looked_at, dict.fromkeys([*stage.cast.everybody, *real])))
    wrong = [each for each in found if each is not None]
    assert not wrong, f"{len(wrong)} did not recover in {stage.patience_s:.0f} s by themselves: {'; '.join(wrong[:5])}"


def _missing(stage: Stage, tenant: str, status: Mapping[str, Any]) -> str | None:
    sights = stage.evidence.sights.get(tenant, ())
    sessions = sights[-1].sessions if sights else ()
    return missing(status, sessions, streamed=tenant in stage.cast.durable, always=tenant in stage.evidence.steady)


def missing(status: Mapping[str, Any], sessions: Collection[Session], *, streamed: bool, always: bool) -> str | None:
    """What a tenant with a database lacks, None where it lacks nothing.

    Args:
        status: its owner's word.
        sessions: those that its database's server shows.
        streamed: whether its rows are to be streamed.
        always: whether nobody ever asked it to stop; others may be stopped, and not on their way.
    """
    if status["lifecycle"] == "absent" and not always:
        return None
    wanted = {"lifecycle": "ready", "database": "up"} | ({"replication": "streaming"} if streamed else {})
    for name, value in wanted.items():
        if status[name] != value:
            return f"has {name} {status[name]}, and {value} was due"
    claim = (status["owner"] or {}).get("claim")
    if not any(session.holder and session.claim == claim for session in sessions):
        return f"is ready by its status, and its database shows no session with its lock under claim {claim}"
    return None
