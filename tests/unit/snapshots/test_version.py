"""The version: another shape of states, or another fold, is another version."""

from __future__ import annotations

import ast
from datetime import datetime
from enum import StrEnum
from importlib.resources import files
from typing import NamedTuple

import pytest

from statemachine.state import TenantState
from streams.snapshots import version as module
from streams.snapshots.version import FOLDING, layout, version


class Colour(StrEnum):
    RED = "red"


class Colours(StrEnum):
    RED = "red"
    BLUE = "blue"


class Point(NamedTuple):
    x: int
    at: datetime | None = None


class Shape(NamedTuple):
    colour: Colour
    points: tuple[Point, ...] = ()


class Deeper(NamedTuple):
    colour: Colour
    points: tuple[Shape, ...] = ()


def test_a_layout_goes_down_to_the_innermost_field() -> None:
    assert layout(Shape) == "Shape(colour: Colour('red'), points: tuple[Point(x: int, at: NoneType | datetime), ...])"


@pytest.mark.parametrize("other", [Deeper, Point, Colours, tuple[Colour, ...], Colour | None])
def test_what_is_written_differently_has_another_layout(other: object) -> None:
    assert layout(other) not in {layout(Shape), layout(Colour)}


def test_every_field_of_a_state_is_in_its_layout() -> None:
    words = layout(TenantState)
    assert all(f"{name}: " in words for name in TenantState._fields)
    assert "Any" not in words


def test_the_version_is_the_same_as_long_as_nothing_changes() -> None:
    first = version()
    version.cache_clear()
    assert version() == first
    assert len(first) == 32


def test_another_fold_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = version()
    version.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(module, "FOLDING", FOLDING[:-1])
        assert version() != first
    version.cache_clear()


BESIDE = {"commands.py", "errors.py", "rejections.py", "terms.py"}
"""What modules of the fold import for deciding: no state depends on it."""


def _imports(package: str, file: str) -> set[tuple[str, str]]:
    """The project's own modules that a file imports."""
    tree = ast.parse(files(package).joinpath(file).read_text())
    names = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    own = [name for name in names if name.startswith(("statemachine.", "streams.wire."))]
    return {(name.rpartition(".")[0], f"{name.rpartition('.')[2]}.py") for name in own}


def test_everything_that_a_fold_imports_counts_to_it() -> None:
    reached = set(FOLDING)
    for package, file in FOLDING:
        reached |= _imports(package, file)
    assert reached - set(FOLDING) == {("statemachine", file) for file in BESIDE}
