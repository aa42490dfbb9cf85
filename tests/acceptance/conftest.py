from __future__ import annotations

import pytest

from streams.devstack.kafka.server import KafkaServer
from tests.acceptance.place import Place, make_place


@pytest.fixture(scope="module")
def place(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Topics of the module's own."""
    return make_place(kafka, tmp_path_factory.mktemp("place"))
