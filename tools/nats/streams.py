"""Changes of streams: their size limit, and dropping old messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.model import JSON, Approval, Change, Plan, Refused, Unexpected
from cockpit.toolkit import nothing_to_do, plan_of
from tools.amounts import size
from tools.nats.client import NatsReader, NatsWriter
from tools.nats.kind import nats
from tools.nats.readings import JetStream, Stream, jetstream
from tools.shapes import mapping, number, text

MEBIBYTE = 1024 * 1024


def stream_name(key: JSON) -> str:
    """The stream that a change is about. Raises Unexpected when it names none."""
    name = mapping(key).get("stream")
    if not isinstance(name, str):
        raise Unexpected("The change names no stream.")
    return name


async def read_limit(client: NatsReader, key: JSON) -> JSON:
    """The stream's limit in bytes; -1 without one. None when the stream is gone."""
    stored = await jetstream(client)
    found = [each.limit for each in stored.streams if each.name == stream_name(key)]
    return {"max_bytes": found[0]} if found else None


async def write_limit(client: NatsWriter, key: JSON, before: JSON, after: JSON) -> None:
    """STREAM.UPDATE with the config that is there and another max_bytes."""
    from tools.nats.settings import current_config

    config = await current_config(client, stream_name(key))
    limit = int(number(mapping(after).get("max_bytes")))
    await client.ask("STREAM.UPDATE", stream_name(key), payload={**config, "max_bytes": limit})
