from __future__ import annotations

import datetime as dt

from streams.tenantdb.partitions import days_around, partition_name


def test_days_run_from_yesterday_to_three_days_ahead() -> None:
    assert days_around(dt.date(2027, 1, 1)) == (
        dt.date(2026, 12, 31),
        dt.date(2027, 1, 1),
        dt.date(2027, 1, 2),
        dt.date(2027, 1, 3),
        dt.date(2027, 1, 4),
    )


def test_a_partition_is_named_after_its_day() -> None:
    assert partition_name(dt.date(2028, 2, 9)) == "messages_2028_02_09"
