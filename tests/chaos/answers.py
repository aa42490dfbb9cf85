"""What was answered, held against the log: nobody was lied to, nothing acknowledged is missing, nothing happened twice.

Source of the order that is looked for: Herlihy and Wing, Linearizability, 1990. Sequences of one tenant grow by one, so
the search for an order of all calls comes down to comparing numbers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.chaos.evidence import Call, Evidence, Finding, Raw
from tests.chaos.fold import Log

ALWAYS_AN_EVENT: Final = "pause"
"""A command that leads to an event whenever it is acknowledged, whatever the tenant's state."""

NEVER_WAIT: Final = frozenset({"status", "pause", "resume"})
"""Commands that their owner answers at once: each that stands on the topic has an outcome."""


IDS_REMEMBERED: Final = 64
"""Commands that led to events, by whose ids a tenant knows a copy; one that comes after more of them is a new command.
"""


def check_answers(evidence: Evidence, log: Log) -> Iterator[Finding]:
    """Everything that is wrong with answers."""
    replies = [json.loads(record.value or b"{}") for record in evidence.topics.get("replies", ())]
    for reply in replies:
        yield from _reply(reply, log)
    for call in evidence.calls:
        if call.reply is not None:
            yield from _reply(call.reply, log)
        if call.ok and call.type == ALWAYS_AN_EVENT and not log.causes[call.id]:
            yield Finding("lost", call.tenant, f"{call.type} {call.id} was acknowledged, and no event counts for it")
    yield from _twice(evidence, log)
    yield from _unanswered(evidence, log, {reply.get("command") for reply in replies})
    yield from _order(evidence.calls)


def _reply(reply: dict[str, Any], log: Log) -> Iterator[Finding]:
    if reply["outcome"] != "ok":
        return
    tenant, position, claim = reply["tenant"], reply["position"], reply["claim"]
    if position is None or claim is None:
        yield Finding("unproved", tenant, f"the answer to {reply['command']} has no position or no claim")
        return
    partition, offset = position["partition"], position["offset"]
    counted = log.claim_at(partition, offset)
    if counted != claim:
        yield Finding("deposed", tenant, f"{reply['command']} was answered under claim {claim} at {offset}: {counted}")
    sequence = reply["status"]["sequence"]
    if sequence < log.known(tenant, offset):
        yield Finding(
            "stale", tenant, f"{reply['command']} shows {sequence} of {log.known(tenant, offset)} at {offset}"
        )
    if sequence > len(log.of[tenant]):
        yield Finding("void", tenant, f"{reply['command']} shows {sequence}, and {len(log.of[tenant])} count")
    if reply["event"] is not None:
        yield from _named(reply, log)


def _named(reply: dict[str, Any], log: Log) -> Iterator[Finding]:
    event = log.events.get((reply["event"]["partition"], reply["event"]["offset"]))
    if event is None:
        yield Finding("void", reply["tenant"], f"{reply['command']} names {reply['event']}, which does not count")
    elif (event.tenant, event.cause) != (reply["tenant"], reply["command"]):
        yield Finding("void", reply["tenant"], f"{reply['command']} names the event of {event.cause}")


def _twice(evidence: Evidence, log: Log) -> Iterator[Finding]:
    asked = {call.id for call in evidence.calls} | set(_commands(evidence))
    for cause in sorted(asked & log.causes.keys()):
        for before, after in pairwise(log.causes[cause]):
            between = log.of[before.tenant][before.sequence : after.sequence - 1]
            # Effects and timers have a colon in what they are called; the rest are commands.
            if len({event.cause for event in between if ":" not in event.cause}) < IDS_REMEMBERED:
                yield Finding("twice", before.tenant, f"{cause} led to events at {before.offset} and {after.offset}")


def _unanswered(evidence: Evidence, log: Log, answered: set[str | None]) -> Iterator[Finding]:
    for command, (tenant, kind) in _commands(evidence).items():
        if kind in NEVER_WAIT and command not in answered and not log.causes[command]:
            yield Finding("lost", tenant, f"{kind} {command} is on the topic, and has neither reply nor event")


def _commands(evidence: Evidence) -> dict[str, tuple[str, str]]:
    """Tenant and type of every command on the topic that clients write to, by id."""
    # What a worker writes to see whether it reads has no key, and is nobody's command.
    return dict(_command(record) for record in evidence.topics.get("commands", ()) if record.key is not None)


def _command(record: Raw) -> tuple[str, tuple[str, str]]:
    body = json.loads(record.value or b"{}")
    return body["id"], ((record.key or b"").decode(), body["type"])


def _order(calls: Sequence[Call]) -> Iterator[Finding]:
    """Whoever asks after an answer was given is not shown less."""
    by_tenant: defaultdict[str, list[Call]] = defaultdict(list)
    for call in calls:
        if call.ok and call.ended is not None:
            by_tenant[call.tenant].append(call)
    for tenant, found in by_tenant.items():
        ended = sorted(found, key=lambda call: call.ended or 0.0)
        highest, place = 0, 0
        for call in sorted(found, key=lambda call: call.began):
            while place < len(ended) and (ended[place].ended or 0.0) < call.began:
                highest = max(highest, _sequence(ended[place]))
                place += 1
            if _sequence(call) < highest:
                yield Finding("backwards", tenant, f"{call.id} shows {_sequence(call)} after {highest} was shown")


def _sequence(call: Call) -> int:
    assert call.reply is not None
    return int(call.reply["status"]["sequence"])
