"""States as bytes and back: nothing is lost, not even how a time was written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any, Final, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from statemachine.state import Pause, TenantState
from streams.snapshots.encoding import Place, StateCodec
from tests.unit.statemachine.histories import MODEST

PLACE: Final = Place("connect.local.events", 3, 0)

moments = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001  the strategy puts the offset in
    datetime(2100, 1, 1),  # noqa: DTZ001  see above
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-9, minutes=-30))]),
).map(lambda moment: moment.replace(fold=0))
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain: Final[dict[Any, st.SearchStrategy[Any]]] = {
    datetime: moments,
    timedelta: st.timedeltas(timedelta(0), timedelta(days=40)),
    str: texts,
    int: st.integers(0, 2**53),
    bool: st.booleans(),
    type(None): st.none(),
}


def of(shape: Any) -> st.SearchStrategy[Any]:
    """Anything of a type, down to its innermost field."""
    if shape in plain:
        return plain[shape]
    if get_origin(shape) is tuple:
        return st.lists(of(get_args(shape)[0]), max_size=3).map(tuple)
    if get_args(shape):
        return st.one_of(*map(of, get_args(shape)))
    if issubclass(shape, Enum):
        return st.sampled_from(list(shape))
    return st.builds(shape, **{name: of(hint) for name, hint in get_type_hints(shape).items()})


@MODEST
@given(of(TenantState))
def test_a_state_is_read_as_it_was_written(state: TenantState) -> None:
    codec = StateCodec(PLACE)
    found = codec.decode(*codec.encode(state))
    assert found == state
    assert repr(found) == repr(state)


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=2), timedelta(hours=-3, minutes=-30)])
def test_a_time_keeps_its_offset_from_utc(offset: timedelta) -> None:
    until = datetime(2030, 1, 1, 12, tzinfo=timezone(offset))
    codec = StateCodec(PLACE)
    found = codec.decode(*codec.encode(TenantState("t1", pause=Pause("r", "a", until))))
    assert found.pause is not None
    assert found.pause.until is not None
    assert found.pause.until.isoformat() == until.isoformat()
