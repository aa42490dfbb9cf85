from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams.devstack.kafka import check_jars, default_cache, ensure_jars
from streams.errors import PrerequisiteMissing, StackFailed
from tests.integration.devstack.conftest import WriteProgram

pytestmark = pytest.mark.kafka

# What stands in for Maven says its version, or puts jars where `-DoutputDirectory` says; `$target` holds that.
MAVEN = """
for argument in "$@"; do
  case "$argument" in
    --version) echo "Apache Maven 3.9.9"; exit 0;;
    -DoutputDirectory=*) target="${argument#*=}";;
  esac
done
mkdir -p "$target"
"""

PATH_OF_THE_SYSTEM = "/usr/bin:/bin"


@pytest.fixture
def copied_cache(cache: Path, tmp_path: Path) -> Path:
    return shutil.copytree(cache, tmp_path / "cache" / "kafka")


def test_a_corrupted_jar_is_refused_by_name(copied_cache: Path) -> None:
    with (copied_cache / "kafka-clients-4.3.1.jar").open("r+b") as jar:
        jar.seek(1000)
        jar.write(b"\0corrupt\0")

    with pytest.raises(StackFailed, match=r"kafka-clients-4\.3\.1\.jar has another SHA-256"):
        ensure_jars(copied_cache)


def test_a_missing_jar_and_an_additional_one_are_both_named(copied_cache: Path) -> None:
    (copied_cache / "zstd-jni-1.5.6-10.jar").rename(copied_cache / "stranger-1.0.jar")

    with pytest.raises(StackFailed) as caught:
        check_jars(copied_cache)

    assert "zstd-jni-1.5.6-10.jar is missing" in str(caught.value)
    assert "stranger-1.0.jar is not on the list" in str(caught.value)


def test_cached_jars_need_no_maven(cache: Path, tmp_path: Path) -> None:
    assert ensure_jars(cache, environment={"PATH": "/nowhere"}) == cache

    with pytest.raises(PrerequisiteMissing):
        ensure_jars(tmp_path / "none", environment={"PATH": "/nowhere"})


def test_a_fetch_that_fails_half_way_leaves_no_cache_and_no_litter(
    cache: Path, tmp_path: Path, write_program: WriteProgram
) -> None:
    program = write_program("mvn", f'{MAVEN} cp {cache}/log4j*.jar "$target"; echo "the network is gone"; exit 1')
    parent = tmp_path / "caches"

    with pytest.raises(StackFailed, match="the network is gone"):
        ensure_jars(parent / "kafka", environment={"PATH": f"{program}:{PATH_OF_THE_SYSTEM}"})

    assert list(parent.iterdir()) == []


def test_a_fetch_that_brings_other_jars_than_listed_leaves_no_cache(
    cache: Path, tmp_path: Path, write_program: WriteProgram
) -> None:
    program = write_program("mvn", f'{MAVEN} cp {cache}/*.jar "$target"; echo x >> "$target/re2j-1.8.jar"')
    parent = tmp_path / "caches"

    with pytest.raises(StackFailed, match=r"re2j-1\.8\.jar has another SHA-256"):
        ensure_jars(parent / "kafka", environment={"PATH": f"{program}:{PATH_OF_THE_SYSTEM}"})

    assert list(parent.iterdir()) == []


def test_two_fetches_at_once_leave_one_whole_cache(cache: Path, tmp_path: Path, write_program: WriteProgram) -> None:
    # Each waits until both have begun, so that neither finds the other's cache in place.
    meet = f'touch "{tmp_path}/met.$$"; until [ $(ls "{tmp_path}"/met.* | wc -l) -ge 2 ]; do sleep 0.01; done'
    program = write_program("mvn", f'{MAVEN} {meet}; cp {cache}/*.jar "$target"')
    target = tmp_path / "caches" / "kafka"
    environment = {"PATH": f"{program}:{PATH_OF_THE_SYSTEM}"}

    with ThreadPoolExecutor(2) as runs:
        answers = list(runs.map(lambda _: ensure_jars(target, environment=environment), range(2)))

    assert answers == [target, target]
    check_jars(target)
    assert list(target.parent.iterdir()) == [target]


def test_the_cache_lies_where_the_user_keeps_caches(tmp_path: Path) -> None:
    assert default_cache({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "tenant-connect" / "kafka-4.3.1"
    assert default_cache({}) == Path.home() / ".cache" / "tenant-connect" / "kafka-4.3.1"
