from __future__ import annotations

from streams.settings import Settings
from streams.topics import Topics, declarations

DAY_MS = 86_400_000


def test_the_names_carry_prefix_and_region() -> None:
    topics = Topics(Settings(topic_prefix="p", region="eu"))
    assert topics.commands == "p.commands"
    assert topics.region_commands == "p.eu.commands"
    assert topics.events == "p.eu.events"
    assert topics.dead_letters == "p.dead-letters"


def test_the_topics_of_another_region_can_be_named() -> None:
    topics = Topics(Settings(topic_prefix="p", region="eu"), region="us")
    assert topics.region_commands == "p.us.commands"
    assert topics.tenants == "p.tenants"


def test_every_topic_that_has_a_name_is_declared_once() -> None:
    settings = Settings(topic_prefix="p", region="eu")
    topics = Topics(settings)
    named = {getattr(topics, name) for name, member in vars(Topics).items() if isinstance(member, property)}
    declared = [declaration.name for declaration in declarations(settings)]
    assert set(declared) == named
    assert len(declared) == len(named)


def test_events_are_kept_for_ever_and_never_compacted() -> None:
    settings = Settings()
    policy = {each.name: each.config for each in declarations(settings)}[Topics(settings).events]
    assert policy["cleanup.policy"] == "delete"
    assert policy["retention.ms"] == policy["retention.bytes"] == "-1"


def test_records_are_kept_as_long_as_users_are_told() -> None:
    settings = Settings()
    topics = Topics(settings)
    kept = {each.name: each.config.get("retention.ms") for each in declarations(settings)}
    assert kept == {
        topics.commands: str(7 * DAY_MS),
        topics.region_commands: str(7 * DAY_MS),
        topics.events: "-1",
        topics.replies: str(DAY_MS // 24),
        topics.tenants: None,
        topics.users: str(DAY_MS // 24),
        topics.broadcasts: str(DAY_MS),
        topics.positions: None,
        topics.dead_letters: str(30 * DAY_MS),
    }


def test_a_value_that_is_refused_for_its_size_can_still_be_parked() -> None:
    settings = Settings()
    topics = Topics(settings)
    sizes = {each.name: int(each.config.get("max.message.bytes", 0)) for each in declarations(settings)}
    assert sizes[topics.commands] > settings.value_bytes_max
    assert sizes[topics.dead_letters] >= sizes[topics.commands]


def test_one_copy_may_be_away_when_there_are_three() -> None:
    for copies, in_sync in ((1, "1"), (2, "1"), (3, "2")):
        declared = declarations(Settings(replication_factor=copies))
        assert {each.config["min.insync.replicas"] for each in declared} == {in_sync}
