"""The pages name tests as what shows a sentence: each of them exists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted(ROOT.glob("docs/**/*.md"))
NAMED: Final = sorted(
    {
        (str(page.relative_to(ROOT)), module, function)
        for page in PAGES
        for module, function in re.findall(r"\b(test_\w+)(?:\.py)?::(\w+)", page.read_text(encoding="utf-8"))
    }
)
MODULES: Final = sorted(ROOT.glob("tests/**/test_*.py"))


def _defines(module: Path, function: str) -> bool:
    source = module.read_text(encoding="utf-8")
    return re.search(rf"^\s*(?:async def|def|class) {function}\b", source, re.MULTILINE) is not None


@pytest.mark.parametrize(("page", "module", "function"), NAMED)
def test_a_test_that_a_page_names_exists(page: str, module: str, function: str) -> None:
    assert any(found.stem == module and _defines(found, function) for found in MODULES), page


def test_there_are_pages_that_name_tests() -> None:
    assert {page for page, _, _ in NAMED} >= {"docs/lifecycle.md"}
