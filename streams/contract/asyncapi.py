"""The AsyncAPI document: each topic as a channel, with its policy and the records on it.

Source: AsyncAPI 3.0.0; Kafka bindings 0.5.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from streams.settings import Settings
from streams.topics import Declaration, Topics, declarations

REGION: Final = "{region}"
"""The region's place in a channel's address."""

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS_OF_YAML: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


class _Channel(NamedTuple):
    """What is said of a topic beside its declaration.

    Attributes:
        message: name of the message on it.
        payload: file of the payload's schema; None where it is any bytes.
        key: what the key is.
        description: what it is for.
        received: whether this service reads it from others; else it writes it for them.
    """

    message: str
    payload: str | None
    key: str
    description: str
    received: bool = False


def document() -> dict[str, Any]:
    """The whole document."""
    settings = Settings()
    found = _channels(Topics(settings, REGION))
    declared = {_address(declaration, settings): declaration for declaration in declarations(settings)}
    names = {address: _name(address, settings) for address in found}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "tenant-connect",
            "version": version("tenant-connect"),
            "description": "Commands, replies and events of the service that owns every tenant's connection. "
            f"Topic names begin with the prefix {settings.topic_prefix} unless another one is set.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            names[address]: _channel(address, channel, declared[address]) for address, channel in found.items()
        },
        "operations": {
            f"{_action(channel)}-{names[address]}": _operation(names[address], channel)
            for address, channel in found.items()
        },
        "components": {"messages": {channel.message: _message(channel) for channel in found.values()}},
    }


def yaml(value: Mapping[str, Any]) -> str:
    """Plain data as YAML 1.2: block style, text in the double quotes that JSON and YAML share."""
    return "".join(f"{line}\n" for line in _lines(value))


def _channels(topics: Topics) -> dict[str, _Channel]:
    tenant = "tenant id"
    event_key = "tenant id; none on claims"
    return {
        topics.commands: _Channel("command", "command.json", tenant, "Write commands here.", received=True),
        topics.events: _Channel("event", "event.json", event_key, "What happened, kept for ever."),
        topics.replies: _Channel("reply", "reply.json", "command id", "Answers to commands."),
        topics.broadcasts: _Channel(
            "broadcast", "broadcast.json", tenant, "Rows of tenants' databases, kept for a day."
        ),
        topics.users: _Channel("userReport", "user-report.json", tenant, "User counts of gateways.", received=True),
        topics.dead_letters: _Channel("deadLetter", None, "as it was", "Records that could not be read."),
    }


def _channel(address: str, channel: _Channel, declaration: Declaration) -> dict[str, Any]:
    policy = {name: value for name, value in sorted(declaration.config.items()) if name != "min.insync.replicas"}
    parameters = {"parameters": {"region": {"description": "serving region"}}} if REGION in address else {}
    return {
        "address": address,
        "description": channel.description,
        "messages": {channel.message: {"$ref": f"#/components/messages/{channel.message}"}},
        **parameters,
        "x-kafka-topic-configuration": policy,
    }


def _operation(name: str, channel: _Channel) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "action": _action(channel),
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": channel.description,
    }
    if channel.message == "command":
        operation["reply"] = {
            "address": {
                "location": "$message.payload#/reply_to",
                "description": "the replies topic and the partition that the command names",
            },
            "channel": {"$ref": "#/channels/replies"},
        }
    return operation


def _message(channel: _Channel) -> dict[str, Any]:
    key = {"bindings": {"kafka": {"key": {"type": "string", "description": channel.key}}}}
    if channel.payload is None:
        return {"headers": {"$ref": "./dead-letter-headers.json"}, "contentType": "application/octet-stream", **key}
    return {"payload": {"$ref": f"./{channel.payload}"}, **key}


def _action(channel: _Channel) -> str:
    return "receive" if channel.received else "send"


def _address(declaration: Declaration, settings: Settings) -> str:
    return declaration.name.replace(f".{settings.region}.", f".{REGION}.")


def _name(address: str, settings: Settings) -> str:
    return address.removeprefix(f"{settings.topic_prefix}.").removeprefix(f"{REGION}.")


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _member(f"{indent}{_key(key)}:", inner, indent)
    else:
        for inner in value:
            yield from _member(f"{indent}-", inner, indent)


def _member(head: str, value: Any, indent: str) -> Iterator[str]:
    if value and isinstance(value, Mapping | Sequence) and not isinstance(value, str):
        yield head
        yield from _lines(value, f"{indent}  ")
    else:
        yield f"{head} {json.dumps(value, ensure_ascii=False)}"


def _key(key: str) -> str:
    plain = _PLAIN_KEY.fullmatch(key) and key.lower() not in _WORDS_OF_YAML
    return key if plain else json.dumps(key)
