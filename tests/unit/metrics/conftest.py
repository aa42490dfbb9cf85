from __future__ import annotations

import pytest

from tests.unit.metrics.watching import Watch


@pytest.fixture
def watch() -> Watch:
    return Watch()
