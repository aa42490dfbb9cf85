"""The report of a gateway: how many users of a tenant are connected to it now."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

GATEWAY_LENGTH_MAX: Final = 128
"""Characters of a gateway's name."""

TIME_TO_LIVE_MS: Final = 60_000
"""How long a report holds by default, in milliseconds."""

TIME_TO_LIVE_MS_MAX: Final = 3_600_000
"""The longest a report may hold, in milliseconds: the topic keeps reports for an hour."""


class UserReport(BaseModel):
    """What one gateway has for one tenant; the tenant is the record's key. 0 users is a report too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gateway: Annotated[str, Field(min_length=1, max_length=GATEWAY_LENGTH_MAX, description="name of the gateway")]
    users: Annotated[int, Field(ge=0, description="users connected to it now")]
    ttl_ms: Annotated[
        int, Field(gt=0, le=TIME_TO_LIVE_MS_MAX, description="how long the report holds, in milliseconds")
    ] = TIME_TO_LIVE_MS
