from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store
from tests.unit.snapshots.logs import TOPIC


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    store.open()
    yield store
    store.close()


@pytest.fixture
def shelf(store: Store) -> Shelf:
    return Shelf(store, TOPIC)
