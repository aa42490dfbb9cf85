"""Commands as bytes: what producers write, read strictly, with a clear error for everything else."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, NamedTuple

import msgspec
from pydantic import TypeAdapter, ValidationError

from statemachine.commands import COMMAND_TYPES, Command
from statemachine.errors import InvalidCommand
from statemachine.events import CommandPlace
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
    at: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class _Forwarded(_Record, forbid_unknown_fields=True, omit_defaults=True):
    """A command as the router forwards it: with where it stood on the topic it was written to."""

    origin: CommandPlace | None = None


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
        origin: where it stood on the topic that clients write to, once it was forwarded.
    """

    id: str
    tenant: str
    command: Command
    reply_to: ReplyTo | None
    origin: CommandPlace | None = None


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


_Decoder = msgspec.json.Decoder[_Record] | msgspec.json.Decoder[_Forwarded]
_DECODERS: Final[dict[bool, _Decoder]] = {False: msgspec.json.Decoder(_Record), True: msgspec.json.Decoder(_Forwarded)}
_ENVELOPE_DECODER: Final = msgspec.json.Decoder(_Envelope)
_ENCODER: Final = msgspec.json.Encoder()
_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {name: TypeAdapter(data) for name, data in COMMAND_TYPES.items()}
_WITHOUT_DATA: Final[dict[str, Command]] = {name: data() for name, data in COMMAND_TYPES.items()}
_EMPTY: Final = b"{}"


def decode_command(
    key: bytes | None, value: bytes | None, place: str, *, value_bytes_max: int, forwarded: bool = False
) -> Request:
    """Read a command record.

    Args:
        key: names the tenant.
        value: a JSON object.
        place: ``topic:partition:offset``, the id of a command without one.
        value_bytes_max: a value of this size or more is refused.
        forwarded: the record was written by the router, and may say where it comes from.

    Raises:
        Unreadable: the record breaks the contract; the message names what is wrong.
    """
    if not value:
        raise Unreadable("the value is empty; a command is a JSON object")
    if len(value) >= value_bytes_max:
        raise Unreadable(f"the value has {len(value)} bytes; a command has less than {value_bytes_max}")
    tenant = _tenant(key, value)
    record = _record(value, _DECODERS[forwarded])
    if record.tenant is not None and record.tenant != tenant:
        raise Unreadable(
            f"tenant {record.tenant[:TENANT_ID_LENGTH_MAX]!r} contradicts the key {tenant!r}",
            record.id,
            record.reply_to,
        )
    origin = record.origin if isinstance(record, _Forwarded) else None
    return Request(record.id or place, tenant, _command(record), record.reply_to, origin)


def _tenant(key: bytes | None, value: bytes) -> str:
    if not key:
        raise _unreadable("the key is empty; it names the tenant", value)
    try:
        tenant = key.decode()
    except UnicodeDecodeError:
        raise _unreadable("the key is not UTF-8", value) from None
    if len(tenant) > TENANT_ID_LENGTH_MAX:
        problem = f"the key has {len(tenant)} characters; a tenant id has at most {TENANT_ID_LENGTH_MAX}"
        raise _unreadable(problem, value)
    if not tenant.isprintable():
        raise _unreadable("the key has characters that cannot be printed", value)
    return tenant


def _record(value: bytes, decoder: _Decoder) -> _Record:
    try:
        return decoder.decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(f"not a command: {error}", value) from None


def _unreadable(problem: str, value: bytes) -> Unreadable:
    """The error, with what can be saved of the command for an answer."""
    envelope = _envelope(value)
    return Unreadable(problem, envelope.id, envelope.reply_to)


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
    record = _Forwarded(request.command.type, request.id, None, request.reply_to, None, data, request.origin)
    return _ENCODER.encode(record)
