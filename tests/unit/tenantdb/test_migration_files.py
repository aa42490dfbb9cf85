from __future__ import annotations

from pathlib import Path

import pytest

from streams.tenantdb.migrate import read_migrations

PLATFORM_VERSION_MIN = 10**13


def test_our_versions_have_four_digits_and_never_meet_the_platforms() -> None:
    versions = [migration.version for migration in read_migrations()]
    assert versions == sorted(set(versions))
    assert versions
    assert max(versions) < PLATFORM_VERSION_MIN


def test_no_file_ends_the_transaction_it_runs_in() -> None:
    for migration in read_migrations():
        lines = {line.strip().lower() for line in migration.statements.splitlines()}
        assert not lines & {"commit;", "rollback;", "begin;"}, migration.name


def test_files_are_read_ascending(tmp_path: Path) -> None:
    for name in ("0010_ten.sql", "0002_two.sql"):
        (tmp_path / name).write_text("select 1")
    assert [migration.version for migration in read_migrations(tmp_path)] == [2, 10]


@pytest.mark.parametrize("name", ["1_short.sql", "0001-dash.sql", "00001_long.sql"])
def test_a_file_that_is_named_otherwise_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("select 1")
    with pytest.raises(ValueError, match="NNNN_name"):
        read_migrations(tmp_path)


def test_two_files_with_one_version_are_refused(tmp_path: Path) -> None:
    for name in ("0001_one.sql", "0001_other.sql"):
        (tmp_path / name).write_text("select 1")
    with pytest.raises(ValueError, match="one version"):
        read_migrations(tmp_path)
