from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented there, missing from its list of exports
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourceType,
)

from streams.devstack.process import wait_until
from streams.errors import KafkaRefused, TopicsDiffer
from streams.kafka.administration import Difference, TopicChange, apply, differences, require_agreement
from streams.settings import Settings
from streams.topics import Topics, declarations

pytestmark = pytest.mark.kafka

ANSWER_SECONDS = 15.0


def shown(settings: Settings, expected: list[Difference]) -> bool:
    """Whether the broker comes to show these differences: it answers a change before it shows it."""
    return wait_until(lambda: differences(settings) == expected, ANSWER_SECONDS)


def set_policy(client: AdminClient, topic: str, name: str, value: str) -> None:
    change = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[change])
    for answer in client.incremental_alter_configs([resource]).values():
        answer.result(ANSWER_SECONDS)


def make_topic(client: AdminClient, topic: str, partitions: int) -> None:
    client.create_topics([NewTopic(topic, num_partitions=partitions, replication_factor=1)])[topic].result(
        ANSWER_SECONDS
    )


def test_every_topic_is_made_as_declared(settings: Settings) -> None:
    changes = apply(settings)
    assert [change.topic for change in changes] == [each.name for each in declarations(settings)]
    assert changes[0] == TopicChange(Topics(settings).commands, "missing", before="no topic", after="3 partitions")
    assert differences(settings) == []
    require_agreement(settings)


def test_a_second_apply_changes_nothing(settings: Settings) -> None:
    apply(settings)
    assert apply(settings) == []


def test_two_at_once_leave_the_topics_as_declared(settings: Settings) -> None:
    with ThreadPoolExecutor() as pool:
        for running in [pool.submit(apply, settings) for _ in range(2)]:
            running.result()
    require_agreement(settings)


def test_before_the_first_apply_every_topic_is_named_as_missing(settings: Settings) -> None:
    found = differences(settings)
    assert [each.topic for each in found] == [each.name for each in declarations(settings)]
    assert {each.what for each in found} == {"missing"}
    with pytest.raises(TopicsDiffer) as caught:
        require_agreement(settings)
    assert all(f"{each.topic} is missing" in str(caught.value) for each in found)


def test_a_changed_policy_is_found_and_mended(settings: Settings, client: AdminClient) -> None:
    apply(settings)
    topics = Topics(settings)
    set_policy(client, topics.events, "cleanup.policy", "compact")
    set_policy(client, topics.replies, "retention.ms", "1000")
    changed = [
        Difference(topics.events, "cleanup.policy", declared="delete", found="compact"),
        Difference(topics.replies, "retention.ms", declared="3600000", found="1000"),
    ]
    assert shown(settings, changed)
    with pytest.raises(TopicsDiffer, match=r"cleanup\.policy is compact, declared is delete"):
        require_agreement(settings)
    assert [(change.topic, change.before, change.after) for change in apply(settings)] == [
        (topics.events, "compact", "delete"),
        (topics.replies, "1000", "3600000"),
    ]
    require_agreement(settings)


def test_a_setting_that_is_not_declared_is_left_as_it_is(settings: Settings, client: AdminClient) -> None:
    apply(settings)
    set_policy(client, Topics(settings).events, "segment.ms", "60000")
    assert apply(settings) == []


def test_a_topic_taken_away_is_named_and_made_again(settings: Settings, client: AdminClient) -> None:
    apply(settings)
    users = Topics(settings).users
    client.delete_topics([users], operation_timeout=ANSWER_SECONDS)[users].result(ANSWER_SECONDS)
    assert shown(settings, [Difference(users, "missing", declared="3 partitions", found="no topic")])
    assert [change.topic for change in apply(settings)] == [users]


def test_another_number_of_partitions_is_refused_with_both_numbers(settings: Settings, client: AdminClient) -> None:
    apply(settings)
    commands = Topics(settings).commands
    client.create_partitions([NewPartitions(commands, 5)])[commands].result(ANSWER_SECONDS)
    assert shown(settings, [Difference(commands, "partitions", declared="3", found="5")])
    with pytest.raises(TopicsDiffer, match=r"partitions is 5, declared is 3.*nothing was changed"):
        apply(settings)
    with pytest.raises(TopicsDiffer, match="partitions is 5, declared is 3"):
        require_agreement(settings)


def test_nothing_is_made_while_a_number_of_partitions_differs(settings: Settings, client: AdminClient) -> None:
    topics = Topics(settings)
    make_topic(client, topics.events, partitions=1)
    assert wait_until(lambda: client.list_topics(topics.events, ANSWER_SECONDS).topics[topics.events].error is None, 15)
    with pytest.raises(TopicsDiffer, match=topics.events):
        apply(settings)
    assert topics.commands in {each.topic for each in differences(settings) if each.what == "missing"}


def test_another_number_of_copies_is_named_and_refused(settings: Settings) -> None:
    apply(settings)
    wanted = settings.model_copy(update={"replication_factor": 3})
    assert ("replication factor", "3", "1") in {(each.what, each.declared, each.found) for each in differences(wanted)}
    with pytest.raises(TopicsDiffer, match="replication factor is 1, declared is 3"):
        apply(wanted)


def test_more_copies_than_brokers_is_what_kafka_refuses(settings: Settings) -> None:
    wanted = settings.model_copy(update={"replication_factor": 3})
    with pytest.raises(KafkaRefused, match=Topics(settings).commands):
        apply(wanted)
