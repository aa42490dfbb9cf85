"""What is refused before it reaches an owner: it would lead to nothing, and is to leave nothing on the log."""

from __future__ import annotations

from typing import Final

from statemachine.commands import CheckHealth, Command, Connect, Reload
from statemachine.errors import TenantNotFound, TenantSuspended
from statemachine.rejections import Rejection
from streams.catalog.record import CatalogSummary

_CONNECTING: Final = (Connect, Reload)
_OF_AN_ENTRY: Final = (*_CONNECTING, CheckHealth)
"""Commands that mean nothing where the catalog has no such tenant."""


def refusal(command: Command, entry: CatalogSummary | None) -> Rejection | None:
    """Why ``command`` leads to nothing, None where its owner is to decide.

    Args:
        command: what is asked.
        entry: the tenant's catalog entry, None where the catalog has none.
    """
    if entry is None and isinstance(command, _OF_AN_ENTRY):
        return Rejection(TenantNotFound, "the catalog has no such tenant")
    if entry is not None and entry.suspended and isinstance(command, _CONNECTING):
        return Rejection(TenantSuspended, "the tenant is suspended")
    return None
