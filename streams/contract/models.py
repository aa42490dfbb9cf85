"""The records of the contract as pydantic models: what the JSON Schemas are made from.

Hot paths read and write the same bytes with msgspec; tests hold both to each other.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from statemachine.commands import COMMAND_TYPES
from statemachine.errors import REFUSALS
from statemachine.events import EVENT_TYPES, Claimed
from statemachine.limits import COMMAND_ID_LENGTH_MAX, TENANT_ID_LENGTH_MAX
from statemachine.machines import DatabaseHealth, Lifecycle, Occupancy, Replication
from statemachine.state import StopReason
from statemachine.why import CODES
from streams.wire.event import HASH_BYTES

Offset = Annotated[int, Field(ge=0)]
TenantName = Annotated[str, Field(min_length=1, max_length=TENANT_ID_LENGTH_MAX, description="tenant id")]
Digest = Annotated[str, Field(pattern=rf"^[0-9a-f]{{{2 * HASH_BYTES}}}$")]


class Incoming(BaseModel):
    """A record that others write: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Outgoing(BaseModel):
    """A record that this service writes: readers pass over fields that they do not know."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ReplyAddress(Incoming):
    """Where the answer goes: a partition of the replies topic."""

    topic: str
    partition: Offset


class CommandEnvelope(Incoming):
    """What every command may have beside its type and data; the record's key names the tenant."""

    id: Annotated[str, Field(min_length=1, max_length=COMMAND_ID_LENGTH_MAX)] | None = Field(
        default=None, description="the same id again is the same command; by default topic:partition:offset"
    )
    tenant: str | None = Field(default=None, description="must equal the key when given")
    reply_to: ReplyAddress | None = Field(default=None, description="where the answer goes; nowhere when left out")
    at: AwareDatetime | None = Field(default=None, description="when it was asked, RFC 3339")


class PositionModel(Outgoing):
    """A place in a topic."""

    topic: str
    partition: Offset
    offset: int = Field(ge=-1, description="-1 stands before the first record")


class ErrorModel(Outgoing):
    """Why a command was refused."""

    code: str = Field(description="stable name of the error", examples=sorted(REFUSALS))
    message: str = Field(description="what it means here, in words")
    retry_at: AwareDatetime | None = Field(default=None, description="when asking again makes sense")


class OwnerModel(Outgoing):
    """Who owns the tenant's partition."""

    worker: str
    claim: Offset


class WhyModel(Outgoing):
    """What holds the tenant where it is."""

    code: str = Field(description="stable name of what holds it", examples=[*CODES, *StopReason])
    what: str = Field(description="the same in words; where something failed, with its operational code")
    since_event: str | None = Field(description="id of the event since which it is so")
    next: str = Field(description="what happens next")
    at: AwareDatetime | None = Field(description="when, where that is known")


class StatusModel(Outgoing):
    """How a tenant is."""

    tenant: TenantName
    region: str | None = Field(description="serving region")
    lifecycle: Lifecycle = Field(description="how far the connection is")
    reason: StopReason | None = Field(description="why it is stopping or absent")
    database: DatabaseHealth = Field(description="whether the database answers")
    replication: Replication = Field(description="whether rows are streamed")
    occupancy: Occupancy = Field(description="whether anybody uses it")
    users: Annotated[int, Field(ge=0, description="users on all gateways")]
    owner: OwnerModel | None = Field(description="worker and claim")
    sequence: int = Field(ge=0, description="number of events so far")
    since: AwareDatetime | None = Field(description="time of the event that moved the lifecycle last")
    migrations: int | None = Field(description="migrations recorded in the tenant's database")
    deadlines: dict[str, AwareDatetime] = Field(description="name and time of each moment at which something is due")
    why: WhyModel = Field(description="what holds it where it is, and what comes next")


class HealthModel(Outgoing):
    """What a health check found."""

    healthy: bool = Field(description="connected and complete, or at rest with nothing left to migrate")
    db_connected: bool = Field(description="its connection is held")
    replication_connected: bool = Field(description="not needed to be healthy")
    connected_cluster: Annotated[int, Field(ge=0, description="users on all gateways")]
    migrations_pending: bool = Field(description="the database has fewer migrations than there are, as far as known")
    partitions_failed: list[str] = Field(description="UTC days without a partition, ISO 8601")
    region: str = Field(description="serving region of the worker that answered")
    node: str = Field(description="name of the worker that answered")


class ReplyModel(Outgoing):
    """The answer to a command; the record's key is the command's id."""

    command: str | None = Field(description="id of the command")
    tenant: str | None = Field(description="whose")
    outcome: Literal["ok", "error"]
    error: ErrorModel | None = Field(description="why it was refused")
    status: StatusModel | None = Field(description="how the tenant is; not known where no owner was reached")
    event: PositionModel | None = Field(description="the event that the command led to")
    position: PositionModel | None = Field(description="how far the answer knows the log")
    claim: Offset | None = Field(description="the claim under which it was given")
    at: AwareDatetime = Field(description="when it was given")
    health: HealthModel | None = Field(default=None, description="in the answer to check_health")


class EventEnvelope(Outgoing):
    """CloudEvents 1.0 in structured JSON, without type and data."""

    specversion: Literal["1.0"]
    id: str = Field(description="the same for the same event")
    source: str = Field(pattern=r"^/connect/[A-Za-z0-9_-]+/[0-9]+$", description="/connect/, region, / and partition")
    time: AwareDatetime = Field(description="when it was decided")
    datacontenttype: Literal["application/json"]
    hash: Digest = Field(description="BLAKE2b-128 of the record's bytes up to this member and a closing brace")


class TenantEventEnvelope(EventEnvelope):
    """What the events of tenants have beside."""

    subject: TenantName
    sequence: int = Field(ge=1, description="per tenant, from 1, without a gap")
    claim: int = Field(ge=0, description="offset of the claim under which it was written")
    causationid: str = Field(description="id of the command, or timer:… or effect:…")
    commandoffset: Offset | None = Field(default=None, description="offset of the command that caused it")
    originpartition: Offset | None = Field(
        default=None, description="partition of that command on the topic it was forwarded from"
    )
    originoffset: Offset | None = Field(default=None, description="its offset there")
    previoushash: Digest | Literal[""] = Field(description="hash of the tenant's event before; empty for the first")


class BroadcastModel(Outgoing):
    """A row of a tenant's `realtime.messages`, at least once; a duplicate has the same id.

    Whoever has seen a higher claim in the partition drops it. Exactly one of the two payloads is there.
    """

    tenant: TenantName
    topic: str = Field(description="the channel, without the tenant")
    event: str = Field(description="as the row has it")
    private: bool = Field(description="whether only members may hear it")
    payload: Any = Field(default=None, description="JSON, as it stands in the row")
    payload_base64: str | None = Field(default=None, description="bytes, in Base64")
    id: str = Field(description="of the row, a UUID")
    inserted_at: AwareDatetime = Field(description="as the row has it")
    lsn: str = Field(pattern="^[0-9A-F]{1,8}/[0-9A-F]{1,8}$", description="where its transaction was committed")
    ordinal: int = Field(ge=0, description="its place among the rows of that transaction")
    claim: Offset = Field(description="the claim under which it was sent")


class PositionRecordModel(Outgoing):
    """The point to resume a tenant's stream from: what is older was acknowledged by Kafka."""

    tenant: TenantName
    claim: Offset = Field(description="the claim under which it was proved")
    xmin: int = Field(ge=0, description="transaction id of 64 bits: whatever a lower one wrote was delivered")
    lsn: str = Field(pattern="^[0-9A-F]{1,8}/[0-9A-F]{1,8}$", description="whatever was committed before was delivered")
    system_identifier: str = Field(pattern="^[0-9]{1,20}$", description="which PostgreSQL cluster it was")
    timeline: int = Field(ge=1)
    at: AwareDatetime


class DeadLetterHeaders(Outgoing):
    """The headers of a dead letter, UTF-8 text; key and value are as they were."""

    topic: str
    partition: str = Field(pattern="^[0-9]+$")
    offset: str = Field(pattern="^[0-9]+$")
    error_code: str
    error_message: str


def schema_of(event_type: str) -> str:
    """The ``dataschema`` of an event type: name and version of its data's schema."""
    return f"urn:tenant-connect:event:{event_type}:1"


def _command(name: str, data: type) -> type[BaseModel]:
    fields: dict[str, Any] = {"type": (Literal[name], ...), "data": (data, Field(default_factory=data))}
    model: type[BaseModel] = create_model(f"{data.__name__}Command", __base__=CommandEnvelope, **fields)
    model.__doc__ = data.__doc__
    return model


def _event(name: str, data: type) -> type[BaseModel]:
    envelope = EventEnvelope if data is Claimed else TenantEventEnvelope
    fields: dict[str, Any] = {
        "type": (Literal[name], ...),
        "dataschema": (Literal[schema_of(name)], ...),
        "data": (data, ...),
    }
    model: type[BaseModel] = create_model(f"{data.__name__}Event", __base__=envelope, **fields)
    model.__doc__ = data.__doc__
    return model


COMMANDS: Final = {name: _command(name, data) for name, data in COMMAND_TYPES.items()}
"""The model of each command type."""

EVENTS: Final = {name: _event(name, data) for name, data in EVENT_TYPES.items()}
"""The model of each event type."""
