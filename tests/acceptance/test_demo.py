"""The demonstration, as `make demo` runs it, on the broker that is there."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from streams.devstack.kafka.server import KafkaServer
from tests.acceptance.command import Shell

pytestmark = pytest.mark.kafka

ANSWER_SECONDS = 20.0


def test_the_demonstration_ends_well_and_leaves_nothing_behind(kafka: KafkaServer, tmp_path: Path) -> None:
    before = set(Path.cwd().iterdir())
    shell = Shell(kafka=kafka.bootstrap, data_dir=str(tmp_path / "data"), topic_prefix="shown")
    result = shell.run("demo", "--json")
    assert result.code == 0, result.out[-2000:] + result.err
    told = {record["kind"]: record for record in result.records}
    assert told["summary"]["summary"][0]["audit of the log"] == "sound"
    assert told["audit"]["audit"][-1]["clean"] is True
    assert not (tmp_path / "data").exists()
    assert not {path.name for path in set(Path.cwd().iterdir()) - before if "shown" in path.name}
    topics = AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=ANSWER_SECONDS).topics
    assert [topic for topic in topics if topic.startswith("shown")] == []
