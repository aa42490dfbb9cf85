"""Which events are permitted where: every event in every situation."""

from __future__ import annotations

from itertools import product
from typing import Final

import pytest

from statemachine import TenantState, fold
from statemachine.errors import IllegalEvent
from statemachine.events import (
    EVENT_TYPES,
    ConnectResumed,
    ConnectRetried,
    DatabaseRestored,
    LimitCleared,
    PartitionsRestored,
    TenantEventData,
)
from tests.support.scenario import following
from tests.unit.statemachine.situations import (
    CHECKED,
    GAP,
    IDLE,
    LIMITED,
    LOST,
    MIGRATED,
    PARTITION_FAILED,
    PAUSED,
    POSTPONED,
    PROVISIONED,
    REQUESTED,
    SITUATIONS,
    STARTED,
    STOPPED,
    STOPPING,
    STREAM_LOST,
    TODAY,
    USED,
    cells,
)

LIFE_PERMITTED: Final = """
event                  never     checking      provisioning  ready       stopping  reloading  pausing   stopped   returning  paused
connect.requested      checking  -             -             -           -         -          -         checking  checking   -
connect.checked        -         provisioning  -             -           -         -          -         -         -          -
connect.provisioned    -         -             ready         -           -         -          -         -         -          -
connect.stopping       -         stopping      stopping      stopping    stopping  stopping   stopping  -         -          -
connect.stopped        -         absent        absent        absent      absent    absent     absent    -         absent     -
connect.paused         absent    stopping      stopping      stopping    stopping  stopping   stopping  absent    absent     absent
connect.resumed        -         -             -             -           -         -          stopping  -         -          absent
connect.retried        -         -             -             ready       -         -          -         -         -          -
database.lost          -         -             -             recovering  -         -          -         -         -          -
database.restored      -         -             -             -           -         -          -         -         -          -
replication.started    -         -             -             -           -         -          -         -         -          -
replication.lost       -         -             -             -           -         -          -         -         -          -
replication.postponed  -         -             -             -           -         -          -         -         -          -
replication.gap        -         -             -             -           -         -          -         -         -          -
occupancy.used         -         -             -             used        -         -          -         -         -          -
occupancy.idle         -         -             -             idle        -         -          -         -         -          -
partitions.failed      absent    -             -             ready       -         -          -         absent    absent     absent
partitions.restored    absent    -             -             ready       -         -          -         absent    absent     absent
limit.reached          absent    -             -             -           -         -          -         absent    absent     absent
limit.cleared          -         -             -             -           -         -          -         -         -          -
migrations.finished    absent    -             -             -           -         -          -         absent    absent     absent
"""  # noqa: E501 - a table reads by its columns

CONNECTED_PERMITTED: Final = """
event                  recovering  starting    streaming   waiting     postponed   used        idle        undated
connect.requested      -           -           -           -           -           -           -           -
connect.checked        -           -           -           -           -           -           -           -
connect.provisioned    -           -           -           -           -           -           -           -
connect.stopping       stopping    stopping    stopping    stopping    stopping    stopping    stopping    stopping
connect.stopped        absent      absent      absent      absent      absent      absent      absent      absent
connect.paused         stopping    stopping    stopping    stopping    stopping    stopping    stopping    stopping
connect.resumed        -           -           -           -           -           -           -           -
connect.retried        ready       ready       ready       ready       ready       ready       ready       ready
database.lost          recovering  recovering  recovering  recovering  recovering  recovering  recovering  recovering
database.restored      up          -           -           -           -           -           -           -
replication.started    -           streaming   streaming   streaming   streaming   -           -           -
replication.lost       -           -           waiting     -           -           -           -           -
replication.postponed  -           waiting     -           waiting     waiting     -           -           -
replication.gap        -           starting    streaming   waiting     waiting     -           -           -
occupancy.used         used        used        used        used        used        used        used        used
occupancy.idle         idle        idle        idle        idle        idle        idle        -           idle
partitions.failed      ready       ready       ready       ready       ready       ready       ready       ready
partitions.restored    ready       ready       ready       ready       ready       ready       ready       ready
limit.reached          -           -           -           -           -           -           -           -
limit.cleared          -           -           -           -           -           -           -           -
migrations.finished    -           -           -           -           -           -           -           -
"""

REFUSED_PERMITTED: Final = """
event                  failing   limited  delayed
connect.requested      checking  -        -
connect.checked        -         -        -
connect.provisioned    -         -        -
connect.stopping       -         -        -
connect.stopped        -         -        absent
connect.paused         absent    absent   absent
connect.resumed        -         -        -
connect.retried        -         -        -
database.lost          -         -        -
database.restored      -         -        -
replication.started    -         -        -
replication.lost       -         -        -
replication.postponed  -         -        -
replication.gap        -         -        -
occupancy.used         -         -        -
occupancy.idle         -         -        -
partitions.failed      absent    absent   absent
partitions.restored    absent    absent   absent
limit.reached          absent    -        -
limit.cleared          -         absent   absent
migrations.finished    absent    absent   absent
"""

PERMITTED: Final = (LIFE_PERMITTED, CONNECTED_PERMITTED, REFUSED_PERMITTED)
"""What the machine that the event is about is in afterwards; `-` where the event is illegal."""

ABOUT: Final = {"database": "database", "replication": "replication", "occupancy": "occupancy"}
"""The machine that events of a family are about; the lifecycle for all others."""

PAYLOADS: Final[dict[str, TenantEventData]] = {
    payload.type: payload
    for payload in (
        REQUESTED,
        CHECKED,
        PROVISIONED,
        STOPPING,
        STOPPED,
        PAUSED,
        ConnectResumed("done", "bob"),
        ConnectRetried("mended", "ada"),
        LOST,
        DatabaseRestored(),
        STARTED,
        STREAM_LOST,
        POSTPONED,
        GAP,
        USED,
        IDLE,
        PARTITION_FAILED,
        PartitionsRestored(TODAY),
        LIMITED,
        LimitCleared("mended", "ada"),
        MIGRATED,
    )
}


def _refused(state: TenantState, payload: TenantEventData) -> str:
    """The message with which an event is refused; the state is as it was."""
    before = state._replace()
    with pytest.raises(IllegalEvent) as refused:
        fold(state, following(state, payload))
    assert state == before
    return str(refused.value)


@pytest.mark.parametrize(("event", "situation", "expected"), cells(*PERMITTED))
def test_an_event_leads_where_the_table_says_or_is_illegal(event: str, situation: str, expected: str) -> None:
    state = SITUATIONS[situation].state
    if expected == "-":
        message = _refused(state, PAYLOADS[event])
        assert f"{event} of tenant 't1', sequence {state.sequence + 1}, is not permitted while" in message
    else:
        machine = ABOUT.get(event.partition(".")[0], "lifecycle")
        assert getattr(fold(state, following(state, PAYLOADS[event])), machine) == expected


def test_the_tables_have_every_event_in_every_situation() -> None:
    permitted = [(event, situation) for event, situation, _ in cells(*PERMITTED)]
    assert sorted(permitted) == sorted(product(PAYLOADS, SITUATIONS))
    assert set(PAYLOADS) == set(EVENT_TYPES) - {"connect.claimed"}


def test_an_event_that_is_not_permitted_is_refused_with_what_all_four_machines_say() -> None:
    message = _refused(SITUATIONS["waiting"].state, STREAM_LOST)
    assert message.endswith("is not permitted while it is ready, database up, replication waiting, occupancy unknown")
