from __future__ import annotations

from pathlib import Path

import pytest

from streams.devstack.prerequisites import find_docker, find_java, find_maven, java_feature, java_version
from streams.devstack.stack import Stack
from streams.errors import PrerequisiteMissing
from tests.integration.devstack.conftest import WriteProgram


def test_a_machine_without_java_is_told_what_to_install_and_nothing_is_started(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "data", environment={"PATH": str(tmp_path)})

    with pytest.raises(PrerequisiteMissing) as caught:
        stack.up()

    message = str(caught.value)
    assert "apt-get install default-jre-headless" in message
    assert "brew install openjdk" in message
    assert "docker-compose.kafka.yml" in message
    assert "TENANT_CONNECT_KAFKA" in message
    assert stack.status().kafka is None
    assert stack.status().postgres is None


def test_an_old_java_is_named_with_its_version(write_program: WriteProgram) -> None:
    directory = write_program("java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")

    with pytest.raises(PrerequisiteMissing, match=r"java is Java 11\.0\.2, too old"):
        find_java({"PATH": str(directory)})


def test_a_java_that_does_not_run_counts_as_missing(write_program: WriteProgram) -> None:
    directory = write_program("java", "echo 'Unable to locate a Java Runtime.' >&2; exit 1")

    with pytest.raises(PrerequisiteMissing, match="does not say a version"):
        find_java({"PATH": str(directory)})


def test_java_home_comes_before_path(write_program: WriteProgram, tmp_path: Path) -> None:
    directory = write_program("java", """echo 'openjdk version "21.0.1" 2023-10-17' >&2""")

    found = find_java({"PATH": "/nowhere", "JAVA_HOME": str(tmp_path)})

    assert found.path == directory / "java"
    assert found.version == "21.0.1"


@pytest.mark.parametrize(
    ("answer", "feature"),
    [
        ('java version "1.8.0_292"', 8),
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('openjdk version "21" 2023-09-19\nOpenJDK Runtime Environment', 21),
    ],
)
def test_the_feature_number_of_every_kind_of_java_version_is_read(answer: str, feature: int) -> None:
    version = java_version(answer)

    assert version is not None
    assert java_feature(version) == feature


def test_a_machine_without_maven_is_told_what_to_install() -> None:
    with pytest.raises(PrerequisiteMissing, match="apt-get install maven"):
        find_maven({"PATH": "/nowhere"})


def test_docker_counts_only_when_its_engine_answers(write_program: WriteProgram) -> None:
    directory = write_program("docker", "echo 'engine '; echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(PrerequisiteMissing, match="engine cannot be reached"):
        find_docker({"PATH": str(directory)})

    write_program("docker", "echo 'engine 28.2.2'")
    assert find_docker({"PATH": str(directory)}).version == "28.2.2"
