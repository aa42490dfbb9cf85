"""The report of a gateway: how many users of a tenant are connected to it now."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from statemachine.limits import TENANT_ID_LENGTH_MAX
from streams.errors import InputInvalid

GATEWAY_LENGTH_MAX: Final = 128
"""Characters of a gateway's name."""

USERS_MAX: Final = 1_000_000_000
"""Users of one report: sums of them stay within the numbers that every reader of JSON can hold."""

TIME_TO_LIVE_MS: Final = 60_000
"""How long a report holds by default, in milliseconds."""

TIME_TO_LIVE_MS_MAX: Final = 3_600_000
"""The longest a report may hold, in milliseconds: the topic keeps reports for an hour."""


class UserReport(BaseModel):
    """What one gateway has for one tenant; the tenant is the record's key. 0 users is a report too."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    gateway: Annotated[str, Field(min_length=1, max_length=GATEWAY_LENGTH_MAX, description="name of the gateway")]
    users: Annotated[int, Field(ge=0, le=USERS_MAX, description="users connected to it now")]
    ttl_ms: Annotated[
        int, Field(gt=0, le=TIME_TO_LIVE_MS_MAX, description="how long the report holds, in milliseconds")
    ] = TIME_TO_LIVE_MS


class ReadReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A `UserReport` as a worker reads it: the same fields and bounds, four times as fast.

    Attributes:
        gateway: name of the gateway.
        users: users connected to it.
        ttl_ms: how long the report holds, in milliseconds.
    """

    gateway: Annotated[str, msgspec.Meta(min_length=1, max_length=GATEWAY_LENGTH_MAX)]
    users: Annotated[int, msgspec.Meta(ge=0, le=USERS_MAX)]
    ttl_ms: Annotated[int, msgspec.Meta(gt=0, le=TIME_TO_LIVE_MS_MAX)] = TIME_TO_LIVE_MS


_DECODER: Final = msgspec.json.Decoder(ReadReport)


def decode_report(key: bytes | None, value: bytes | None) -> tuple[str, ReadReport]:
    """Read a record of the users' topic: the tenant, and what was reported.

    Raises:
        InputInvalid: the record breaks the contract; the message names what is wrong.
    """
    tenant = _tenant(key)
    if not value:
        raise InputInvalid("the value is empty; a report of users is a JSON object")
    try:
        return tenant, _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InputInvalid(f"not a report of users: {error}") from None


def _tenant(key: bytes | None) -> str:
    if not key:
        raise InputInvalid("the key is empty; it names the tenant")
    try:
        tenant = key.decode()
    except UnicodeDecodeError:
        raise InputInvalid("the key is not UTF-8") from None
    if len(tenant) > TENANT_ID_LENGTH_MAX:
        raise InputInvalid(f"the key has {len(tenant)} characters; a tenant id has at most {TENANT_ID_LENGTH_MAX}")
    if not tenant.isprintable():
        raise InputInvalid("the key has characters that cannot be printed")
    return tenant
