"""What became of commands: each on the topic has exactly one outcome, the one that its tenant called for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.chaos.commanded import Command, Order
from tests.chaos.evidence import Finding
from tests.chaos.facts import Lives
from tests.chaos.fold import Log
from tests.chaos.meaning import NOTHING, REFUSED, due

IDS_REMEMBERED: Final = 64
"""Commands that led to events, by whose ids a tenant knows a copy; one that comes after more of them is a new command.
"""

Reply = dict[str, Any]


def check_outcomes(
    log: Log, lives: Lives, commands: Mapping[str, Command], replies: Mapping[str, Sequence[Reply]]
) -> Iterator[Finding]:
    """Everything that is wrong with what became of commands."""
    order = Order(log)
    for command in commands.values():
        yield from _twice(command, log)
        if log.causes[command.id]:
            yield from _events(command, log, lives)
        else:
            yield from _no_event(command, lives, order, replies.get(command.id, ()))
    # Effects and timers have a colon in what they are called; the rest are commands.
    for cause in sorted(cause for cause in log.causes if ":" not in cause and log.causes[cause]):
        if cause not in commands:
            event = log.causes[cause][0]
            yield Finding("unasked", event.tenant, f"{event.type} at {event.offset} is of {cause}, which nobody sent")


def _twice(command: Command, log: Log) -> Iterator[Finding]:
    for before, after in pairwise(log.causes[command.id]):
        between = log.of[before.tenant][before.sequence : after.sequence - 1]
        if len({event.cause for event in between if ":" not in event.cause}) < IDS_REMEMBERED:
            yield Finding("twice", before.tenant, f"{command.id} led to events at {before.offset} and {after.offset}")


def _events(command: Command, log: Log, lives: Lives) -> Iterator[Finding]:
    """The event is the one that the tenant called for where it stands, and the command was there to be decided."""
    places = {copy.place for copy in command.copies}
    for event in log.causes[command.id]:
        what = f"{command.asked.kind} {command.id} led to {event.type} at {event.offset}"
        if event.tenant != command.tenant:
            yield Finding("meaning", event.tenant, f"{what}, and was sent to {command.tenant}")
            continue
        facts = lives.at(event.tenant, event.sequence - 1)
        if facts is not None and due(command.asked, facts) != event.type:
            yield Finding("meaning", event.tenant, f"{what}, where it leads to {due(command.asked, facts)}")
        if event.origin is not None and event.origin not in places:
            yield Finding("meaning", event.tenant, f"{what} as the command at {event.origin}, which is another one")


def _no_event(command: Command, lives: Lives, order: Order, replies: Sequence[Reply]) -> Iterator[Finding]:
    """That there is no event is explained by how the tenant was, each time the command was decided."""
    copies = [copy for copy in command.copies if not copy.parked]
    # Refused for what it says itself; which copy that was is not known, so it speaks for all of them.
    turned_away = any(reply["claim"] is None or _code(reply) == "invalid_command" for reply in replies)
    said = f"{command.asked.kind} {command.id}"
    explained: set[str] = set()
    for copy in copies:
        windows = lives.between(command.tenant, *order.window(command.tenant, copy))
        expected = {due(command.asked, facts) for facts in windows}
        explained |= expected & {NOTHING, REFUSED}
        if expected and not expected & {NOTHING, REFUSED} and not turned_away:
            called_for = " or ".join(sorted(expected))
            what = f"{said} at {copy.place} calls for {called_for}, and no event counts for it"
            yield Finding("lost", command.tenant, what)
            break
    oks = [reply for reply in replies if reply["outcome"] == "ok"]
    # One that was refused, and is delivered again to the next owner, is decided after commands that came behind it.
    again = len(oks) < len(replies) and all(_under_way(command, lives, reply) for reply in oks)
    if oks and NOTHING not in explained and not again:
        yield Finding("lost", command.tenant, f"{said} was acknowledged, and nothing explains that it has no event")
    if copies and not replies and command.answered and command.asked.at_once:
        yield Finding("lost", command.tenant, f"{said} is on the topic, and has neither reply nor event")


def _under_way(command: Command, lives: Lives, reply: Reply) -> bool:
    """Whether there was nothing left to do for it as the tenant was where it was answered."""
    facts = lives.at(command.tenant, reply["status"]["sequence"])
    if facts is None:
        return False
    connecting = command.asked.kind == "connect" and facts.reconnect and not (facts.paused or facts.limited)
    return connecting or due(command.asked, facts) == NOTHING


def _code(reply: Reply) -> str | None:
    return reply["error"]["code"] if reply["outcome"] != "ok" else None


def by_command(replies: Sequence[Reply]) -> dict[str, list[Reply]]:
    """Replies by the command that they answer."""
    found: defaultdict[str, list[Reply]] = defaultdict(list)
    for reply in replies:
        found[reply["command"]].append(reply)
    return dict(found)
