"""Any value of the records that go over the wire, for Hypothesis."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from statemachine.commands import (
    CheckHealth,
    Command,
    Connect,
    PauseTenant,
    Reload,
    ResumeTenant,
    Retry,
    Shutdown,
    Status,
    Wait,
)
from statemachine.events import (
    Claimed,
    CommandPlace,
    ConnectChecked,
    ConnectPaused,
    ConnectProvisioned,
    ConnectRequested,
    ConnectResumed,
    ConnectStopped,
    ConnectStopping,
    DatabaseLost,
    DatabaseRestored,
    TenantEventData,
)
from statemachine.limits import COMMAND_ID_LENGTH_MAX, CONNECT_TIMEOUT_MS_MAX, TENANT_ID_LENGTH_MAX, TEXT_LENGTH_MAX
from statemachine.state import StopReason, TenantState
from streams.wire.command import ReplyTo, Request
from streams.wire.event import Origin, source_of

OFFSET_MAX: Final = 2**63 - 1

texts: SearchStrategy[str] = st.text(max_size=40) | st.text('\\"{}:,hash\n\0\u2028é', max_size=40)
words: SearchStrategy[str] = st.text(max_size=TEXT_LENGTH_MAX) | texts
counts: SearchStrategy[int] = st.integers(0, 2**31)
offsets: SearchStrategy[int] = st.integers(0, OFFSET_MAX)
zones: SearchStrategy[timezone] = st.integers(-23 * 60, 23 * 60).map(
    lambda minutes: timezone(timedelta(minutes=minutes))
)
times: SearchStrategy[datetime] = st.datetimes(timezones=zones | st.just(UTC))
tenants: SearchStrategy[str] = st.text(
    st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=TENANT_ID_LENGTH_MAX
)
ids: SearchStrategy[str] = st.text(min_size=1, max_size=COMMAND_ID_LENGTH_MAX)
reasons: SearchStrategy[StopReason] = st.sampled_from(StopReason)

claims: SearchStrategy[Claimed] = st.builds(Claimed, texts, counts, counts)

payloads: SearchStrategy[TenantEventData] = st.one_of(
    st.builds(ConnectRequested, st.none() | texts, st.none() | texts, st.none() | texts),
    st.builds(ConnectChecked, counts, counts, counts, counts),
    st.builds(ConnectProvisioned, counts, st.lists(texts, max_size=3).map(tuple), counts),
    st.builds(ConnectStopping, reasons, st.none() | texts, texts, st.booleans()),
    st.builds(ConnectStopped, reasons, st.none() | texts, texts),
    st.builds(ConnectPaused, texts, texts, st.none() | times),
    st.builds(ConnectResumed, texts, texts),
    st.builds(DatabaseLost, times, st.none() | texts, texts),
    st.builds(DatabaseRestored),
)

places: SearchStrategy[CommandPlace] = st.builds(CommandPlace, counts, offsets)

origins: SearchStrategy[Origin] = st.builds(
    Origin, st.just(source_of("local", 3)), offsets, texts, st.none() | offsets, st.none() | places
)

states: SearchStrategy[TenantState] = st.builds(
    TenantState,
    tenants,
    sequence=st.integers(0, OFFSET_MAX - 1),
    hash=st.just("") | st.binary(min_size=16, max_size=16).map(bytes.hex),
)

commands: SearchStrategy[Command] = st.one_of(
    st.builds(Connect, st.sampled_from(Wait), st.integers(0, CONNECT_TIMEOUT_MS_MAX), st.none() | words),
    st.builds(Status),
    st.builds(Shutdown, reasons),
    st.builds(Reload),
    st.builds(CheckHealth),
    st.builds(PauseTenant, words, words, st.none() | times),
    st.builds(ResumeTenant, words, words),
    st.builds(Retry, words, words),
)

addresses: SearchStrategy[ReplyTo] = st.builds(ReplyTo, texts, st.integers(0, 2**31))

requests: SearchStrategy[Request] = st.builds(
    Request, ids, tenants, commands, st.none() | addresses, st.none() | places
)
