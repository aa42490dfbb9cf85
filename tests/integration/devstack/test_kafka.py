from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from streams.devstack.kafka import BACK_SOON, KafkaServer
from streams.devstack.process import Process, free_port
from streams.errors import StackFailed

pytestmark = pytest.mark.kafka

RECORDS = 50
TIMEOUT_SECONDS = 30.0


@pytest.fixture(scope="module")
def broker(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    server = KafkaServer(tmp_path_factory.mktemp("kafka"), cache=cache, settings=BACK_SOON)
    server.start()
    yield server
    server.stop()


def test_a_broker_that_is_killed_comes_back_with_its_records_on_its_port(broker: KafkaServer) -> None:
    address, before = broker.bootstrap, broker.pid
    admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
    admin.create_topics([NewTopic("kept", 1, 1)])["kept"].result(TIMEOUT_SECONDS)
    produce(address, "kept")

    broker.kill()
    assert not broker.running
    assert not broker.answers()
    broker.start()

    assert broker.bootstrap == address
    assert broker.pid not in (None, before)
    assert consume(address, "kept") == [str(number).encode() for number in range(RECORDS)]


def test_writing_to_a_topic_does_not_create_it(broker: KafkaServer) -> None:
    errors: list[KafkaError | None] = []
    producer = Producer(
        {"bootstrap.servers": broker.bootstrap, "topic.metadata.propagation.max.ms": 500, "log_level": 0}
    )

    producer.produce("never-created", b"value", on_delivery=lambda error, _: errors.append(error))
    assert producer.flush(TIMEOUT_SECONDS) == 0

    assert [error and error.name() for error in errors] == ["UNKNOWN_TOPIC_OR_PART"]


def test_starting_a_broker_that_runs_changes_nothing(broker: KafkaServer) -> None:
    before = broker.pid

    broker.start()

    assert broker.pid == before


def test_the_log_of_the_broker_can_be_read(broker: KafkaServer) -> None:
    assert "Kafka version: 4.3.1" in broker.log_path.read_text(encoding="utf-8")


def test_a_port_that_another_program_holds_is_named(broker: KafkaServer, cache: Path, tmp_path: Path) -> None:
    late = KafkaServer(tmp_path, port=broker.port, cache=cache)

    with pytest.raises(StackFailed, match=f"port {broker.port} .* in use"):
        late.start()


def test_a_broker_of_another_cluster_on_its_port_is_not_taken_for_its_own(
    broker: KafkaServer, cache: Path, tmp_path: Path
) -> None:
    mine = KafkaServer(tmp_path, cache=cache)
    mine.start()
    mine.stop()

    mine.port = broker.port

    assert broker.answers()
    assert not mine.answers()


def test_a_broker_whose_port_was_taken_by_another_one_while_it_started_says_so(
    broker: KafkaServer, cache: Path, tmp_path: Path
) -> None:
    # It looks at one free port and listens on another one, which is what it comes to when somebody was faster.
    controller = free_port()
    listeners = f"PLAINTEXT://{broker.address},CONTROLLER://127.0.0.1:{controller}"
    late = KafkaServer(tmp_path, controller_port=controller, cache=cache, settings={"listeners": listeners})

    def lose_the_race() -> None:
        late.port = broker.port

    with pytest.raises(StackFailed, match=f"another cluster answers on port {broker.port}"):
        late.start(launched=lose_the_race)

    assert not late.running


def test_a_setting_that_the_broker_refuses_is_in_the_error(cache: Path, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, cache=cache, settings={"log.cleaner.threads": "many"})

    with pytest.raises(StackFailed, match=r"log\.cleaner\.threads"):
        server.start()

    assert not server.running


def test_a_broker_that_ends_while_starting_shows_the_end_of_its_log(cache: Path, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, cache=cache)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=elsewhere\n", encoding="ascii")

    with pytest.raises(StackFailed, match="Stored node id 7"):
        server.start()

    assert not server.running


def test_an_interrupted_start_leaves_no_process(cache: Path, tmp_path: Path) -> None:
    server = KafkaServer(tmp_path, cache=cache)
    begun: list[Process | None] = []

    def interrupt() -> None:
        begun.append(server.process)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.start(launched=interrupt)

    assert [process is not None and process.alive for process in begun] == [False]


def produce(address: str, topic: str) -> None:
    producer = Producer({"bootstrap.servers": address, "acks": "all", "log_level": 0})
    for number in range(RECORDS):
        producer.produce(topic, str(number).encode())
    assert producer.flush(TIMEOUT_SECONDS) == 0


def consume(address: str, topic: str) -> list[bytes]:
    consumer = Consumer({"bootstrap.servers": address, "group.id": "reader", "log_level": 0})
    consumer.assign([TopicPartition(topic, 0, 0)])
    try:
        messages = consumer.consume(RECORDS, TIMEOUT_SECONDS)
    finally:
        consumer.close()
    return [value for message in messages if (value := message.value()) is not None]
