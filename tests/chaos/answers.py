"""What was answered, held against the log: nobody was lied to, and nobody is shown less than somebody was before.

Source of the order that is looked for: Herlihy and Wing, Linearizability, 1990. Sequences of one tenant grow by one, so
the search for an order of all calls comes down to comparing numbers.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from tests.chaos.commanded import Command, commands_of
from tests.chaos.evidence import Call, Evidence, Finding
from tests.chaos.facts import Lives, moment
from tests.chaos.fold import Log
from tests.chaos.meaning import is_so, may_be_refused
from tests.chaos.outcomes import by_command, check_outcomes
from tests.chaos.statuses import check_status

TURNED_AWAY: Final[Mapping[str, frozenset[str]]] = {
    "tenant_not_found": frozenset({"connect", "reload", "check_health"}),
    "tenant_suspended": frozenset({"connect", "reload"}),
    "invalid_command": frozenset({"pause"}),
    "region_unknown": frozenset(
        {"connect", "reload", "check_health", "shutdown", "pause", "resume", "retry", "status"}
    ),
}
"""Which commands may be refused for what they say themselves, or their tenant's catalog entry, with which codes."""

Reply = dict[str, Any]


def check_answers(evidence: Evidence, log: Log, lives: Lives) -> Iterator[Finding]:
    """Everything that is wrong with answers."""
    replies = [json.loads(record.value or b"{}") for record in evidence.topics.get("replies", ())]
    commands = commands_of(evidence)
    answers = by_command(replies)
    for reply in replies:
        yield from _reply(reply, log, lives, commands)
    for call in evidence.calls:
        if call.reply is not None:
            yield from _reply(call.reply, log, lives, commands)
            yield from _given(call, answers.get(call.id, ()))
    told = by_command([*replies, *(call.reply for call in evidence.calls if call.reply is not None)])
    yield from check_outcomes(log, lives, commands, told)
    yield from _order(evidence.calls)


def _reply(reply: Reply, log: Log, lives: Lives, commands: Mapping[str, Command]) -> Iterator[Finding]:
    command = commands.get(reply["command"])
    if command is None or command.tenant != reply["tenant"]:
        yield Finding("unasked", str(reply["tenant"]), f"an answer to {reply['command']}, which nobody asked of it")
    elif reply["position"] is None and reply["claim"] is None and reply["outcome"] != "ok":
        yield from _turned_away(reply, command, log)
    else:
        yield from _owners(reply, command, log, lives)


def _turned_away(reply: Reply, command: Command, log: Log) -> Iterator[Finding]:
    """It was refused for what it says itself: so nothing came of it, and it was one that leads to nothing."""
    code, said = reply["error"]["code"], f"{command.asked.kind} {command.id} was refused with {reply['error']['code']}"
    if log.causes[command.id]:
        at = log.causes[command.id][0].offset
        yield Finding("denied", command.tenant, f"{said}, and its event at {at} counts")
    elif command.asked.kind not in TURNED_AWAY.get(code, ()):
        yield Finding("denied", command.tenant, f"{said}, which leads to something")
    elif code == "invalid_command" and (command.until is None or command.until > _said_at(reply)):
        yield Finding("denied", command.tenant, f"{said} before its end at {command.until}")


def _said_at(reply: Reply) -> datetime:
    at = moment(reply["at"])
    assert at is not None
    return at


def _owners(reply: Reply, command: Command, log: Log, lives: Lives) -> Iterator[Finding]:
    """An answer of an owner: it was one, and what it says was so."""
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
    facts = lives.at(tenant, sequence)
    if facts is None:
        yield Finding("void", tenant, f"{reply['command']} shows {sequence}, and {len(log.of[tenant])} count")
        return
    if reply["event"] is not None:
        yield from _named(reply, log)
    yield from check_status(reply, facts)
    said = f"{command.asked.kind} {command.id} was answered"
    if reply["outcome"] == "ok":
        if not is_so(command.asked, facts):
            yield Finding("untrue", tenant, f"{said} with ok, and at {sequence} it is {facts.lifecycle}")
    elif reply["error"]["code"] == "invalid_command":
        yield from _turned_away(reply, command, log)
    elif not may_be_refused(command.asked, reply["error"]["code"], facts):
        yield Finding("denied", tenant, f"{said} with {reply['error']['code']} at {sequence}: {facts}")


def _named(reply: Reply, log: Log) -> Iterator[Finding]:
    event = log.events.get((reply["event"]["partition"], reply["event"]["offset"]))
    if event is None:
        yield Finding("void", reply["tenant"], f"{reply['command']} names {reply['event']}, which does not count")
    elif (event.tenant, event.cause) != (reply["tenant"], reply["command"]):
        yield Finding("void", reply["tenant"], f"{reply['command']} names the event of {event.cause}")
    elif event.sequence > reply["status"]["sequence"]:
        yield Finding("stale", reply["tenant"], f"{reply['command']} names an event that its status does not show")


def _given(call: Call, answers: Sequence[Reply]) -> Iterator[Finding]:
    """What a client was told stands on the topic of replies."""
    assert call.reply is not None
    if not any(_essence(call.reply) == _essence(answer) for answer in answers):
        yield Finding("unsaid", call.tenant, f"{call.id} was told what no reply on the topic says")


def _essence(reply: Reply) -> tuple[Any, ...]:
    status = reply["status"] or {}
    return (reply["outcome"], reply["claim"], reply["position"], reply["event"], status.get("sequence"))


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
