"""The care of topics: making them, comparing them with their declaration, and mending their policy."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, missing from its list of exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from streams.errors import KafkaRefused, TopicsDiffer
from streams.kafka.clients import admin, reachable
from streams.settings import Settings
from streams.topics import Declaration, declarations

REQUEST_SECONDS: Final = 15.0
"""How long one request about topics may take."""

AGREEMENT_SECONDS: Final = 60.0
"""How long brokers may take to show what was just made or changed."""

AGREEMENT_INTERVAL_SECONDS: Final = 0.05
"""Pause between two looks at whether they do."""

MISSING: Final = "missing"
PARTITIONS: Final = "partitions"
REPLICATION_FACTOR: Final = "replication factor"

UNMENDABLE: Final = frozenset({PARTITIONS, REPLICATION_FACTOR})
"""What ``apply`` does not touch: more partitions would move tenants away from their own history, and copies are moved
between brokers by Kafka's own tools."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a topic is not as declared.

    Attributes:
        what: ``missing``, ``partitions``, ``replication factor``, or the name of a topic setting.
    """

    topic: str
    what: str
    declared: str
    found: str

    def __str__(self) -> str:
        if self.what == MISSING:
            return f"{self.topic} is missing ({self.declared})"
        return f"{self.topic}: {self.what} is {self.found}, declared is {self.declared}"


@dataclass(frozen=True, slots=True)
class TopicChange:
    """One thing that ``apply`` did.

    Attributes:
        what: ``missing`` where the topic was made, else the name of the topic setting that was changed.
    """

    topic: str
    what: str
    before: str
    after: str

    def __str__(self) -> str:
        if self.what == MISSING:
            return f"{self.topic} made ({self.after})"
        return f"{self.topic}: {self.what} changed from {self.before} to {self.after}"


def differences(settings: Settings) -> list[Difference]:
    """Everything in which Kafka's topics are not as declared, in the order of the declarations.

    Raises:
        KafkaUnreachable: no broker answered.
        KafkaRefused: Kafka would not say.
    """
    reachable(settings)
    return _differences(admin(settings), declarations(settings))


def require_agreement(settings: Settings) -> None:
    """Return when every topic is as declared.

    Raises:
        TopicsDiffer: names each difference.
        KafkaUnreachable: no broker answered.
        KafkaRefused: Kafka would not say.
    """
    found = differences(settings)
    if found:
        raise TopicsDiffer("; ".join(map(str, found)))


def apply(settings: Settings) -> list[TopicChange]:
    """Make the topics that are missing, mend the policy of the others, and wait until brokers show it.

    Nothing is done where a number of partitions or of copies differs: that has to be decided by a human being.

    Raises:
        TopicsDiffer: such a number differs, with both numbers; or brokers do not show the changes in time.
        KafkaUnreachable: no broker answered.
        KafkaRefused: Kafka would not do it.
    """
    reachable(settings)
    client = admin(settings)
    declared = declarations(settings)
    found = _differences(client, declared)
    _refuse_unmendable(found)
    missing = {difference.topic for difference in found if difference.what == MISSING}
    _make(client, [declaration for declaration in declared if declaration.name in missing])
    _mend(client, [difference for difference in found if difference.what != MISSING])
    if found:
        _await_agreement(client, declared)
    return [TopicChange(each.topic, each.what, before=each.found, after=each.declared) for each in found]


def _refuse_unmendable(found: Iterable[Difference]) -> None:
    wrong = [difference for difference in found if difference.what in UNMENDABLE]
    if wrong:
        raise TopicsDiffer(
            "; ".join(map(str, wrong)) + ". Set TENANT_CONNECT_PARTITIONS and TENANT_CONNECT_REPLICATION_FACTOR "
            "to what is there, or choose another TENANT_CONNECT_TOPIC_PREFIX; nothing was changed"
        )


def _await_agreement(client: AdminClient, declared: Sequence[Declaration]) -> None:
    deadline = time.monotonic() + AGREEMENT_SECONDS
    pause = threading.Event()
    while left := _differences(client, declared):
        if time.monotonic() > deadline:
            raise TopicsDiffer(f"after {AGREEMENT_SECONDS:.0f} s still: " + "; ".join(map(str, left)))
        pause.wait(AGREEMENT_INTERVAL_SECONDS)


def _make(client: AdminClient, wanted: Sequence[Declaration]) -> None:
    if not wanted:
        return
    topics = [
        NewTopic(
            declaration.name,
            num_partitions=declaration.partitions,
            replication_factor=declaration.replication_factor,
            config=dict(declaration.config),
        )
        for declaration in wanted
    ]
    answers = client.create_topics(topics, operation_timeout=REQUEST_SECONDS, request_timeout=REQUEST_SECONDS)
    # Somebody else may have made one in between; whether it is right is looked at afterwards.
    _collect("make topic", answers, tolerated=KafkaError.TOPIC_ALREADY_EXISTS)


def _mend(client: AdminClient, wanted: Sequence[Difference]) -> None:
    if not wanted:
        return
    resources = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(each.what, each.declared, incremental_operation=AlterConfigOpType.SET)
                for each in wanted
                if each.topic == topic
            ],
        )
        for topic in dict.fromkeys(each.topic for each in wanted)
    ]
    answers = client.incremental_alter_configs(resources, request_timeout=REQUEST_SECONDS)
    _collect("change topic", {resource.name: answer for resource, answer in answers.items()})


def _differences(client: AdminClient, declared: Sequence[Declaration]) -> list[Difference]:
    try:
        present = client.list_topics(timeout=REQUEST_SECONDS).topics
    except KafkaException as error:
        raise KafkaRefused(f"list topics: {error.args[0].str()}") from error
    names = [declaration.name for declaration in declared if declaration.name in present]
    policies = _policies(client, names)
    return [
        difference
        for declaration in declared
        for difference in _compared(declaration, present.get(declaration.name), policies.get(declaration.name, {}))
    ]


def _compared(declaration: Declaration, topic: Any, policy: Mapping[str, str]) -> list[Difference]:
    name = declaration.name
    if topic is None or not policy:
        return [Difference(name, MISSING, f"{declaration.partitions} partitions", "no topic")]
    copies = sorted({len(partition.replicas) for partition in topic.partitions.values()})
    rows = [
        (PARTITIONS, str(declaration.partitions), str(len(topic.partitions))),
        (REPLICATION_FACTOR, str(declaration.replication_factor), ", ".join(map(str, copies))),
        *((setting, value, policy.get(setting, "")) for setting, value in declaration.config.items()),
    ]
    return [Difference(name, what, expected, found) for what, expected, found in rows if expected != found]


def _policies(client: AdminClient, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    answers = client.describe_configs(resources, request_timeout=REQUEST_SECONDS)
    found = _collect(
        "describe topic",
        {resource.name: answer for resource, answer in answers.items()},
        tolerated=KafkaError.UNKNOWN_TOPIC_OR_PART,
    )
    return {name: {entry.name: entry.value for entry in entries.values()} for name, entries in found.items()}


def _collect(what: str, answers: Mapping[str, Future[Any]], tolerated: int | None = None) -> dict[str, Any]:
    found, refused = {}, []
    for name, answer in answers.items():
        try:
            # The request has its own timeout; this one is for a library that forgets to answer.
            found[name] = answer.result(2 * REQUEST_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != tolerated:
                refused.append(f"{what} {name}: {error.args[0].str()}")
        except TimeoutError:
            refused.append(f"{what} {name}: no answer in {2 * REQUEST_SECONDS:.0f} s")
    if refused:
        raise KafkaRefused("; ".join(refused))
    return found
