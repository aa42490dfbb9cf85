from __future__ import annotations

import pytest

from streams.errors import SettingsInvalid
from streams.settings import Settings


@pytest.mark.parametrize(
    ("platform", "serving"),
    [
        ("ap-northeast-2", "ap-southeast-1"),
        ("ap-southeast-2", "ap-southeast-2"),
        ("sa-east-1", "us-east-1"),
        ("us-east-2", "us-east-1"),
        ("eu-central-2", "eu-west-2"),
        ("us-west-2", "us-west-1"),
        ("local", "local"),
        ("af-south-1", None),
    ],
)
def test_platform_regions_are_served_by_default_from(platform: str, serving: str | None) -> None:
    assert Settings().serving_region(platform) == serving


def test_a_mapping_replaces_the_whole_table() -> None:
    settings = Settings.load({"TENANT_CONNECT_REGIONS": '{"eu-west-1": "europe"}', "TENANT_CONNECT_REGION": "here"})
    assert settings.serving_region("eu-west-1") == "europe"
    assert settings.serving_region("us-east-2") is None


def test_a_serving_region_serves_itself_unless_the_mapping_says_otherwise() -> None:
    settings = Settings.load({"TENANT_CONNECT_REGIONS": '{"a": "b", "c": "a"}', "TENANT_CONNECT_REGION": "here"})
    assert settings.serving_region("b") == "b"
    assert settings.serving_region("here") == "here"
    assert settings.serving_region("a") == "b"


@pytest.mark.parametrize("region", ["", "a.b", "-a", "a b", "x" * 64])
def test_a_serving_region_is_a_part_of_a_topic_name(region: str) -> None:
    with pytest.raises(SettingsInvalid, match="TENANT_CONNECT_REGION "):
        Settings.load({"TENANT_CONNECT_REGION": region})
    with pytest.raises(SettingsInvalid, match="TENANT_CONNECT_REGIONS"):
        Settings.load({"TENANT_CONNECT_REGIONS": f'{{"p": "{region}"}}'})
