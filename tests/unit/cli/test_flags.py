from __future__ import annotations

import pytest

from streams.cli.failure import WrongUse
from streams.cli.flags import take


def test_settings_are_taken_from_wherever_they_stand() -> None:
    taken = take(["--kafka", "a:1", "connect", "--region=b", "t1", "--timeout-ms", "5"])
    assert taken.tokens == ["connect", "t1", "--timeout-ms", "5"]
    assert taken.flags == {"--kafka": "a:1", "--region": "b"}


def test_the_last_one_counts() -> None:
    assert take(["--region", "a", "--region", "b"]).flags == {"--region": "b"}


def test_only_exact_names_are_settings() -> None:
    arguments = ["--kafk", "a:1", "--region-of", "x"]
    assert take(arguments).tokens == arguments


def test_json_is_asked_for_anywhere_but_behind_the_end_of_flags() -> None:
    assert take(["list", "--json"]) == (["list"], {}, True)
    assert take(["status", "--", "--json", "--region"]) == (["status", "--", "--json", "--region"], {}, False)


def test_a_value_may_have_an_equals_sign_or_be_empty() -> None:
    assert take(["--kafka-security-user=a=b", "--topic-prefix="]).flags == {
        "--kafka-security-user": "a=b",
        "--topic-prefix": "",
    }


@pytest.mark.parametrize("arguments", [["--kafka"], ["--kafka", "--region", "x"]])
def test_a_setting_without_a_value_is_wrong_use(arguments: list[str]) -> None:
    with pytest.raises(WrongUse, match="--kafka needs a value"):
        take(arguments)
