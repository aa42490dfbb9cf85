"""The core knows no clock, no randomness, no IO and no logging: read from its source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

import statemachine

SOURCES: Final = sorted(Path(statemachine.__file__).parent.rglob("*.py"))
CLOCKS: Final = ["sched", "time", "timeit"]
RANDOMNESS: Final = ["random", "secrets", "uuid"]
LOGGING: Final = ["logging", "structlog", "warnings"]
IO: Final = [
    "aiokafka",
    "asyncio",
    "asyncpg",
    "builtins",
    "concurrent",
    "confluent_kafka",
    "ctypes",
    "faust",
    "ftplib",
    "getpass",
    "glob",
    "http",
    "importlib",
    "io",
    "mmap",
    "multiprocessing",
    "os",
    "pathlib",
    "pickle",
    "platform",
    "psycopg",
    "psycopg2",
    "queue",
    "rocksdict",
    "select",
    "shelve",
    "shutil",
    "signal",
    "socket",
    "sqlite3",
    "ssl",
    "streams",
    "subprocess",
    "sys",
    "tempfile",
    "threading",
    "urllib",
]
IMPURE_MODULES: Final = frozenset([*CLOCKS, *RANDOMNESS, *LOGGING, *IO])
IMPURE_CALLS: Final = frozenset(["breakpoint", "eval", "exec", "input", "open", "print", "__import__"])
CLOCK_METHODS: Final = frozenset(["now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"])


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]


def _called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.func.id
            elif isinstance(node.func, ast.Attribute) and node.func.attr in CLOCK_METHODS:
                yield f".{node.func.attr}"


def _impurities(source: str) -> set[str]:
    tree = ast.parse(source)
    calls = {call for call in _called(tree) if call in IMPURE_CALLS or call.startswith(".")}
    return calls | (set(_imports(tree)) & IMPURE_MODULES)


def test_there_are_sources_to_look_at() -> None:
    assert {"decide.py", "fold.py", "partition.py", "table.py"} <= {path.name for path in SOURCES}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_a_source_of_the_core_is_pure(path: Path) -> None:
    assert _impurities(path.read_text(encoding="utf-8")) == set()


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import time", "time"),
        ("import os.path as p", "os"),
        ("def f():\n    from random import choice", "random"),
        ("if True:\n    import logging", "logging"),
        ("from datetime import datetime\ndatetime.now()", ".now"),
        ("open('x')", "open"),
    ],
)
def test_an_impurity_is_found_wherever_it_hides(source: str, found: str) -> None:
    assert _impurities(source) == {found}
