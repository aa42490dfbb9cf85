"""Where a worker runs, which regions there are, and what it keeps on disk."""

from __future__ import annotations

import base64
import binascii
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from streams.settings.theme import Theme, json_object

KEY_BYTES = 32
"""Bytes of an AES-256 key."""

REGION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
"""A serving region is part of topic names; without a dot in it, two regions never share one."""

HOST_PATTERN = r"^[A-Za-z0-9._:%-]{1,253}$"
"""A host's name, or an IPv4 or IPv6 address without brackets."""

SERVED_FROM = {
    "ap-southeast-1": ("ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1"),
    "ap-southeast-2": ("ap-southeast-2",),
    "us-east-1": ("ca-central-1", "sa-east-1", "us-east-1", "us-east-2"),
    "eu-west-2": ("eu-central-1", "eu-central-2", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    "us-west-1": ("us-west-1", "us-west-2"),
}
"""Serving region → the platform regions it serves, as long as nothing else is set."""

RegionName = Annotated[str, Field(pattern=REGION_PATTERN)]
# Shorter than any spelling of a key: a key put in the place of its id is refused without being repeated.
KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,32}$")]


def _usual_regions() -> dict[str, str]:
    return {platform: serving for serving, served in SERVED_FROM.items() for platform in served}


def _this_process() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class PlaceSettings(Theme):
    """The worker and its region."""

    region: RegionName = Field(
        default="local",
        description="Serving region of this worker; it consumes the commands of this region.",
    )
    regions: Annotated[dict[str, RegionName], BeforeValidator(json_object)] = Field(
        default_factory=_usual_regions,
        description="JSON object, platform region → serving region. It replaces the default table as a whole. "
        "A serving region always serves itself.",
    )
    worker_name: str = Field(
        default_factory=_this_process,
        min_length=1,
        max_length=128,
        description="Name of this worker in claims, replies and logs, and of its snapshots; one name for one running "
        "process, and the same one when it is started again.",
        json_schema_extra={"default": "HOST-PROCESS"},
    )
    data_dir: Path = Field(
        default=Path(".tenant-connect"),
        description="Directory for snapshots and the local stack. A worker can rebuild what it keeps there.",
    )
    http_host: Annotated[str, Field(pattern=HOST_PATTERN)] = Field(
        default="127.0.0.1",
        description="Name or address to listen on for health and metrics; `0.0.0.0` or `::` for every network. Who "
        "reaches it may read everything there.",
    )
    http_port: Annotated[int, Field(ge=-1, le=65535)] = Field(
        default=8800,
        description="Port to listen on for health and metrics; 0 for any free one, which is logged, -1 for none.",
    )
    encryption_keys: Annotated[dict[KeyId, SecretStr], BeforeValidator(json_object)] = Field(
        default_factory=dict,
        description="JSON object, key id → base64 of 32 bytes, for the credentials in the catalog. The first key "
        "writes, every key reads.",
    )

    @field_validator("encryption_keys")
    @classmethod
    def _keys_have_their_size(cls, value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
        wrong = [key_id for key_id, key in value.items() if not _is_key(key.get_secret_value())]
        if wrong:
            raise ValueError(f"each key must be base64 of {KEY_BYTES} bytes; not so: {', '.join(wrong)}")
        return value

    def serving_region(self, platform_region: str) -> str | None:
        """The region whose workers own a tenant of ``platform_region``; None when there is none."""
        if platform_region in self.regions:
            return self.regions[platform_region]
        serving = {self.region, *self.regions.values()}
        return platform_region if platform_region in serving else None


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == KEY_BYTES
    except (binascii.Error, ValueError):
        return False
