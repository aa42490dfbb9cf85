from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.snapshots import snapshots as module
from streams.snapshots.shelf import Shelf
from streams.snapshots.store import Store
from tests.unit.snapshots.keeping import Warnings
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


@pytest.fixture
def logged() -> Iterator[Warnings]:
    with capture_logs() as logs:
        yield logs


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_INTERVAL_S", 0.01)
    monkeypatch.setattr("streams.snapshots.disk.REST_S_MIN", 0.01)
