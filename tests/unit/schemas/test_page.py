"""The page of records names everything that other programs meet."""

from __future__ import annotations

from statemachine.commands import COMMAND_TYPES
from statemachine.errors import REFUSALS
from statemachine.events import EVENT_TYPES
from statemachine.state import StopReason
from statemachine.why import CODES
from streams.contract.models import ReplyModel, StatusModel, TenantEventEnvelope, WhyModel
from streams.contract.page import markdown

PAGE = markdown()


def test_every_command_event_reason_and_code_is_named() -> None:
    for name in (*COMMAND_TYPES, *EVENT_TYPES, *StopReason, *CODES, *REFUSALS):
        assert f"`{name}`" in PAGE


def test_every_member_of_events_replies_statuses_and_explanations_is_named() -> None:
    for model in (TenantEventEnvelope, ReplyModel, StatusModel, WhyModel):
        for name in model.model_fields:
            assert f"| `{name}`" in PAGE
    assert "| `originpartition`? |" in PAGE


def test_tables_have_a_line_for_each_row_and_no_broken_cell() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)
    assert "``" not in PAGE
