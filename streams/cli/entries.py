"""Reading catalog entries as people write them: one object, an array, or an object a line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from streams.catalog.entry import CatalogEntry
from streams.catalog.validation import validate
from streams.errors import InputInvalid

STANDARD_INPUT: Final = "-"

INPUT_BYTES_MAX: Final = 64 * 1024 * 1024
"""Bytes of a file of tenants."""


def read_entries(file: str) -> list[CatalogEntry]:
    """The entries in a file, all of them valid.

    Args:
        file: its path; ``-`` is standard input.

    Raises:
        InputInvalid: names the entry and the field that is wrong; or there is no entry, or a tenant twice.
    """
    entries, wrong = [], []
    for place, raw in _objects(_text(file)):
        try:
            entries.append(validate(raw))
        except InputInvalid as error:
            wrong.append(f"{place}{error}")
    if wrong:
        raise InputInvalid("; ".join(wrong))
    if not entries:
        raise InputInvalid(f"{_name(file)} holds no tenant")
    twice = sorted(name for name, count in Counter(entry.tenant for entry in entries).items() if count > 1)
    if twice:
        raise InputInvalid(f"in {_name(file)} more than once: {', '.join(twice)}")
    return entries


def _text(file: str) -> str:
    try:
        if file == STANDARD_INPUT:
            raw = sys.stdin.buffer.read(INPUT_BYTES_MAX + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(INPUT_BYTES_MAX + 1)
    except OSError as error:
        raise InputInvalid(f"{_name(file)} cannot be read: {error.strerror}") from error
    if len(raw) > INPUT_BYTES_MAX:
        raise InputInvalid(f"{_name(file)} is longer than {INPUT_BYTES_MAX} bytes; split it")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputInvalid(f"{_name(file)} is not UTF-8 (byte {error.start})") from None


def _objects(text: str) -> Iterator[tuple[str, Any]]:
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        if not _are_lines(lines):
            where = f" ({error})" if isinstance(error, json.JSONDecodeError) else ""
            raise InputInvalid(f"not JSON{where}") from None
        yield from ((f"line {number}: ", _line(number, line)) for number, line in lines)
        return
    if isinstance(whole, list):
        yield from ((f"tenant {number} of the array: ", raw) for number, raw in enumerate(whole, 1))
    else:
        yield "", whole


def _are_lines(lines: list[tuple[int, str]]) -> bool:
    """Whether the text is meant as one object a line: it has several lines, and the first is a whole object."""
    try:
        return len(lines) > 1 and isinstance(json.loads(lines[0][1]), dict)
    except (json.JSONDecodeError, RecursionError):
        return False


def _line(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputInvalid(f"line {number} is not JSON: {error}") from None


def _name(file: str) -> str:
    return "standard input" if file == STANDARD_INPUT else file
