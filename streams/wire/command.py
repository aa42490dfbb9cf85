"""Commands as bytes: what producers write, read strictly, with a clear error for everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError

from statemachine.commands import COMMAND_TYPES, Command
from statemachine.errors import InvalidCommand
from statemachine.limits import COMMAND_ID_LENGTH_MAX, TENANT_ID_LENGTH_MAX

CommandId = Annotated[str, msgspec.Meta(min_length=1, max_length=COMMAND_ID_LENGTH_MAX)]


class ReplyTo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the answer goes: a partition of the replies topic."""

    topic: str
    partition: Annotated[int, msgspec.Meta(ge=0)]


class _Record(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    type: str
    id: CommandId | None = None
    tenant: str | None = None
    reply_to: ReplyTo | None = None
    at: datetime | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Envelope(msgspec.Struct):
    """What can be saved of a command that breaks the contract elsewhere."""

    id: CommandId | None = None
    reply_to: ReplyTo | None = None


class Request(NamedTuple):
    """One command, read.

    Attributes:
        id: the client's id, or ``topic:partition:offset``.
        tenant: whose, the record's key.
        command: what is asked.
        reply_to: where the answer goes, None for nowhere.
    """

    id: str
    tenant: str
    command: Command
    reply_to: ReplyTo | None


class Unreadable(Exception):
    """A command that breaks the contract.

    Attributes:
        error: what is wrong with it.
        id: its id, where that could be read.
        reply_to: where the answer goes, where that could be read.
    """

    def __init__(self, message: str, id_: str | None = None, reply_to: ReplyTo | None = None) -> None:
        super().__init__(message)
        self.error = InvalidCommand(message)
        self.id = id_
        self.reply_to = reply_to


_DECODER: Final = msgspec.json.Decoder(_Record)
_ENVELOPE_DECODER: Final = msgspec.json.Decoder(_Envelope)
_ENCODER: Final = msgspec.json.Encoder()
_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {name: TypeAdapter(data) for name, data in COMMAND_TYPES.items()}
_WITHOUT_DATA: Final[dict[str, Command]] = {name: data() for name, data in COMMAND_TYPES.items()}
_EMPTY: Final = b"{}"


def decode_command(key: bytes | None, value: bytes | None, place: str, *, value_bytes_max: int) -> Request:
    """Read a command record; ``place`` is ``topic:partition:offset``, the id of a command without one.

    Raises:
        Unreadable: the record breaks the contract; the message names what is wrong.
    """
    tenant = _tenant(key)
    if not value:
        raise Unreadable("the value is empty; a command is a JSON object")
    if len(value) >= value_bytes_max:
        raise Unreadable(f"the value has {len(value)} bytes; a command has less than {value_bytes_max}")
    record = _record(value)
    if record.tenant is not None and record.tenant != tenant:
        raise Unreadable(
            f"tenant {record.tenant[:TENANT_ID_LENGTH_MAX]!r} contradicts the key {tenant!r}",
            record.id,
            record.reply_to,
        )
    return Request(record.id or place, tenant, _command(record), record.reply_to)


def _tenant(key: bytes | None) -> str:
    if not key:
        raise Unreadable("the key is empty; it names the tenant")
    try:
        tenant = key.decode()
    except UnicodeDecodeError:
        raise Unreadable("the key is not UTF-8") from None
    if len(tenant) > TENANT_ID_LENGTH_MAX:
        raise Unreadable(f"the key has {len(tenant)} characters; a tenant id has at most {TENANT_ID_LENGTH_MAX}")
    return tenant


def _record(value: bytes) -> _Record:
    try:
        return _DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        envelope = _envelope(value)
        raise Unreadable(f"not a command: {error}", envelope.id, envelope.reply_to) from None


def _envelope(value: bytes) -> _Envelope:
    try:
        return _ENVELOPE_DECODER.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Envelope()


def _command(record: _Record) -> Command:
    adapter = _ADAPTERS.get(record.type)
    if adapter is None:
        known = ", ".join(COMMAND_TYPES)
        raise Unreadable(f"unknown type {record.type[:64]!r}; known are {known}", record.id, record.reply_to)
    data = bytes(record.data)
    if data == _EMPTY:
        return _WITHOUT_DATA[record.type]
    try:
        command: Command = adapter.validate_json(data)
    except ValidationError as error:
        raise Unreadable(_explain(error), record.id, record.reply_to) from None
    return command


def _explain(error: ValidationError) -> str:
    problems = (
        f"data.{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}" for problem in error.errors()
    )
    return "; ".join(problems)


def encode_command(request: Request) -> bytes:
    """The record of a command, as a client or the router writes it."""
    data = msgspec.Raw(_ENCODER.encode(request.command))
    record = _Record(request.command.type, request.id, None, request.reply_to, None, data)
    return _ENCODER.encode(record)
