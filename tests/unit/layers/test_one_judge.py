"""Whether a record counts is decided in one place, and nobody reads the events topic past it.

What a deposed owner wrote stands on the topic for ever. A reader that decoded it by itself would show it as having
happened. So the modules that decode events, fold them, compare claims or name the topic are listed here; a new one has
to go through them, or to be added with a reason of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[3]
PACKAGES: Final = ("streams", "statemachine")

RULE: Final = "statemachine.partition"
"""The rule itself: an event counts under the latest valid claim before it."""

READERS: Final = "streams.history.judge"
"""Everybody who only reads: watch, timeline, replay, list, audit, export, the console, the client."""

OWNERS: Final = "streams.registry.partition"
"""Owners and standbys: recovery folds what they read, and a gap is judged."""

ALLOWED: Final[dict[str, set[str]]] = {
    "decode_event": {READERS, OWNERS, "streams.wire.event"},
    "PartitionState": {RULE, READERS, "streams.registry.registry", "streams.snapshots.shelf"},
    "supersedes": {RULE, OWNERS},
    "Judge": {READERS, "streams.history.audit", "streams.history.follow", "streams.history.history"},
    "KafkaSource": {"streams.history.source", "streams.history.audit", "streams.history.history"},
    "decode_broadcast": {"streams.wire.broadcast", "streams.client.broadcasts"},
}
"""Who may define, call or make something by this name: a name that is only written in an annotation is nobody's act."""

EVENTS_TOPIC: Final = {
    "streams.topics": "declares it",
    "streams.contract.asyncapi": "describes it",
    "streams.history.source": "reads it for those who only read",
    "streams.service.worker": "appends to it, and reads gaps back for owners",
    "streams.service.limits": "recovers from it: it is the table's changelog",
    "streams.service.snapshots": "knows by it whether a snapshot belongs to this log",
}
"""Who may name the topic, and what for."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product, parsed."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts), ast.parse(path.read_text())


def uses(tree: ast.Module) -> set[str]:
    """Names that are defined, called or constructed."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            found.add(called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", ""))
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
    return found


def names_the_events_topic(tree: ast.Module) -> bool:
    """Whether ``events`` of the topics' names is read, or declared."""
    return any(isinstance(node, ast.Attribute) and node.attr == "events" and _topics(node.value) for node in _all(tree))


def _all(tree: ast.Module) -> Iterator[ast.AST]:
    yield from ast.walk(tree)


def _topics(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id == "Topics"
    return (value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")) in {"topics", "_topics"}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_decides_whether_a_record_counts_is_used_where_it_may_be(name: str) -> None:
    assert {module for module, tree in modules() if name in uses(tree)} == ALLOWED[name]


def test_the_events_topic_is_named_only_by_those_who_have_a_reason() -> None:
    assert {module for module, tree in modules() if names_the_events_topic(tree)} == EVENTS_TOPIC.keys()


@pytest.mark.parametrize(
    "shortcut",
    [
        "from streams.wire.event import decode_event\nevent = decode_event(value, place)",
        "from streams.wire import event\nfound = event.decode_event(value, place)",
        "state = PartitionState(0)",
        "if claim.supersedes(other): pass",
    ],
)
def test_a_shortcut_is_noticed(shortcut: str) -> None:
    assert uses(ast.parse(shortcut)) & ALLOWED.keys()


@pytest.mark.parametrize(
    "name", ["Topics(settings).events", "self._topics.events", "topics.events", "Topics(settings, region).events"]
)
def test_naming_the_topic_is_noticed(name: str) -> None:
    assert names_the_events_topic(ast.parse(f"found = {name}"))
