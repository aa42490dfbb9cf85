"""A broker of Apache Kafka in KRaft mode, on its own: one process that is broker and controller."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.devstack.kafka.jars import RESOURCES, default_cache, ensure_jars
from streams.devstack.prerequisites import find_java
from streams.devstack.process import Process, free_port, launch, log_tail, port_answers, port_is_free, wait_until
from streams.errors import StackFailed

START_SECONDS = 60.0
"""How long the broker may take until it answers."""

STOP_SECONDS = 20.0
"""How long the broker may take to end after SIGTERM."""

FORMAT_SECONDS = 60.0
"""How long formatting the data directory may take."""

ANSWER_SECONDS = 2.0
"""How long one question to the broker may take."""

HEAP = "-Xmx512m"
"""Room for the broker of a small machine."""

INTERNAL_PARTITIONS = 8
"""Partitions of each of the broker's own topics; the usual 50 only cost time on one node."""

CLEANER_BYTES = 16 * 1024 * 1024
"""Memory of the log cleaner; the usual 128 MiB would be a quarter of the heap."""

BACK_SOON: Mapping[str, str] = MappingProxyType(
    {"broker.session.timeout.ms": "2000", "broker.heartbeat.interval.ms": "500"}
)
"""Settings for tests that kill the broker. The controller refuses a broker that comes back after a crash until the
session of the one before is over: 9 s as Kafka ships it, which is the better choice on a busy machine."""


def new_cluster() -> str:
    """A new id of a cluster, as Kafka writes them."""
    return urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")


class KafkaServer:
    """A broker with its data, log and settings in one directory, listening on 127.0.0.1 only.

    Args:
        directory: made when it is not there; a broker started again on it carries on with its data.
        port: where clients connect; chosen when left out.
        controller_port: where the controller listens; chosen when left out.
        cache: where the jars are kept; see :func:`streams.devstack.kafka.jars.default_cache`.
        settings: more broker settings, or others than those chosen here.
        environment: where ``PATH`` and ``JAVA_HOME`` are looked up.
        process: the process that a former run left, to be taken over.
        cluster: id of the cluster that several brokers make up, see :func:`new_cluster`; one of its own when left out.
    """

    def __init__(
        self,
        directory: Path,
        *,
        port: int | None = None,
        controller_port: int | None = None,
        cache: Path | None = None,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] = os.environ,
        process: Process | None = None,
        cluster: str | None = None,
    ) -> None:
        self.directory = directory.absolute()
        self.port = port or free_port()
        self.controller_port = controller_port or free_port(frozenset({self.port}))
        self.log_path = self.directory / "kafka.log"
        self.output_path = self.directory / "kafka.out"
        self.process = process
        self._cache = cache or default_cache(environment)
        self._settings = dict(settings or {})
        self._environment = environment
        self._cluster = cluster or new_cluster()

    @property
    def bootstrap(self) -> str:
        """What clients are given to find the broker, ``host:port``."""
        return self.address

    @property
    def address(self) -> str:
        """Where clients connect, ``host:port``."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while the broker runs."""
        return self.process.pid if self.process is not None and self.process.alive else None

    @property
    def running(self) -> bool:
        """Whether the process is there; see :meth:`answers` for more."""
        return self.pid is not None

    def start(
        self, progress: Callable[[str], None] = lambda _: None, launched: Callable[[], None] = lambda: None
    ) -> None:
        """Start the broker and wait until it answers; nothing to do when it runs.

        Args:
            progress: told when the jars have to be fetched.
            launched: called as soon as there is a process, before it answers, for whoever keeps a record of it.

        Raises:
            PrerequisiteMissing: Java, or with no jars cached Maven, is missing.
            StackFailed: the port is in use, the jars are not those listed, or the broker does not answer; the message
                ends with the tail of its log.
        """
        if self.running:
            return
        java = find_java(self._environment).path
        jars = ensure_jars(self._cache, progress, self._environment)
        self._claim_ports()
        self.directory.mkdir(parents=True, exist_ok=True)
        properties = self._write_properties()
        if not (self.directory / "data" / "meta.properties").exists():
            self._format(java, jars, properties)
        self.process = launch(self._command(java, jars, properties), self.directory, self.output_path)
        try:
            launched()
            self._await_answer()
        except BaseException:
            # An interrupted start must not leave a process that nobody knows of.
            self.kill()
            raise

    def answers(self) -> bool:
        """Whether the broker is registered and answers a client; one of another cluster on its port does not count."""
        answered = self._answered_by()
        return answered is not None and answered == self._formatted_for()

    def stop(self) -> None:
        """Let the broker close its log and end; SIGKILL after :data:`STOP_SECONDS`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the broker as a crash would, with SIGKILL; see :data:`BACK_SOON` for how soon it can be back."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop, if need be, and start again on the same data and ports."""
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.end(number, STOP_SECONDS)
        self.process = None

    def _claim_ports(self) -> None:
        for port in (self.port, self.controller_port):
            if not port_is_free(port):
                raise StackFailed(f"port {port} of the local broker is in use by another program; end that one")

    def _answered_by(self) -> str | None:
        """The cluster of the broker that answers on the port, whoever started it; None where none does."""
        if not port_answers(self.port):
            return None
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        try:
            found = client.list_topics(timeout=ANSWER_SECONDS)
        except KafkaException:
            return None
        return found.cluster_id if found.brokers else None

    def _formatted_for(self) -> str | None:
        """The cluster that the data directory belongs to, whoever formatted it; None where nobody did."""
        try:
            lines = (self.directory / "data" / "meta.properties").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return None
        return next((line.partition("=")[2] for line in lines if line.startswith("cluster.id=")), None)

    def _await_answer(self) -> None:
        started = wait_until(lambda: not self.running or self.answers(), START_SECONDS)
        if started and self.running:
            return
        # Between a look at a port and its use by the broker, it can be taken by another one.
        if self._answered_by() not in (None, self._formatted_for()):
            raise StackFailed(
                f"a broker of another cluster answers on port {self.port}, which the local broker was to have; "
                "end that one, or give this one another port"
            )
        reason = f"does not answer after {START_SECONDS:.0f} s" if self.running else "ended while starting"
        raise StackFailed(
            f"the local broker {reason}. The end of {self.log_path}:\n{log_tail(self.output_path, self.log_path)}"
        )

    def _write_properties(self) -> Path:
        path = self.directory / "server.properties"
        path.write_text("".join(f"{name}={value}\n" for name, value in self._properties().items()), encoding="utf-8")
        return path

    def _properties(self) -> dict[str, str]:
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.voters": f"1@127.0.0.1:{self.controller_port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str(self.directory / "data"),
            "auto.create.topics.enable": "false",
            "group.initial.rebalance.delay.ms": "0",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": str(INTERNAL_PARTITIONS),
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": str(INTERNAL_PARTITIONS),
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "share.coordinator.state.topic.num.partitions": str(INTERNAL_PARTITIONS),
            "log.cleaner.dedupe.buffer.size": str(CLEANER_BYTES),
            **self._settings,
        }

    def _format(self, java: Path, jars: Path, properties: Path) -> None:
        command = [
            *(str(java), HEAP, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
            *self._log_options(),
            *("-cp", f"{jars}/*", "kafka.tools.StorageTool"),
            *("format", "--config", str(properties), f"--cluster-id={self._cluster}", "--ignore-formatted"),
        ]
        try:
            answer = subprocess.run(  # noqa: S603 - a program found on PATH and arguments made here
                command, capture_output=True, text=True, check=False, timeout=FORMAT_SECONDS
            )
        except subprocess.TimeoutExpired as error:
            raise StackFailed(f"formatting {self.directory} took more than {FORMAT_SECONDS:.0f} s") from error
        if answer.returncode != 0:
            raise StackFailed(f"formatting {self.directory} for Kafka failed:\n{answer.stdout}{answer.stderr}".rstrip())

    def _command(self, java: Path, jars: Path, properties: Path) -> list[str]:
        return [
            *(str(java), HEAP, "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-Djava.awt.headless=true"),
            *self._log_options(),
            *("-cp", f"{jars}/*", "kafka.Kafka", str(properties)),
        ]

    def _log_options(self) -> tuple[str, str]:
        return (
            f"-Dlog4j2.configurationFile={(RESOURCES / 'log4j2.properties').as_uri()}",
            f"-Dconnect.kafka.log={self.log_path}",
        )
