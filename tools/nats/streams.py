"""Changes of streams: their size limit, and dropping old messages."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from cockpit.model import JSON, Approval, Change, Plan, Refused, Unexpected
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.amounts import size
from tools.nats.client import NatsReader, NatsWriter
from tools.nats.kind import nats
from tools.nats.readings import JetStream, Stream, jetstream, settings
from tools.shapes import mapping, number

MEBIBYTE = 1024 * 1024


async def read_limit(client: NatsReader, key: JSON) -> JSON:
    """The stream's limit in bytes, -1 without one; None when the stream is gone."""
    stream = _find(await jetstream(client), key)
    return {"max_bytes": stream.limit} if stream else None


async def write_limit(client: NatsWriter, key: JSON, before: JSON, after: JSON) -> None:
    """STREAM.UPDATE with the config that is there and another max_bytes."""
    answer = await client.ask("STREAM.INFO", _name(key))
    config = {**settings(answer.get("config")), "max_bytes": _limit(after)}
    await client.ask("STREAM.UPDATE", _name(key), payload=config)


def limit_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The command of the nats tool."""
    return [shlex.join(("nats", "stream", "edit", f"--max-bytes={_limit(after)}", "--force", "--", _name(key)))]


def _name(key: JSON) -> str:
    name = mapping(key).get("stream")
    if not isinstance(name, str):
        raise Unexpected("The change names no stream.")
    return name


def _limit(value: JSON) -> int:
    return int(number(mapping(value).get("max_bytes"), -1.0))


def _find(stored: JetStream, key: JSON) -> Stream | None:
    return next((each for each in stored.streams if each.name == _name(key)), None)


limits = nats.resource(
    "nats-stream-limit",
    read=read_limit,
    write=write_limit,
    steps=limit_steps,
    verification="/jsz shows the stream with this max_bytes.",
)


@nats.remediation(approval=Approval.HARD, uses=(limits,))
async def set_stream_limits(client: NatsReader, stream: str, max_megabytes: int) -> Plan:
    """Give a stream another size limit; what is above it is dropped, oldest first, and is gone.

    Undoing puts the old limit back, not the messages.

    Args:
        stream: the stream's name.
        max_megabytes: the new limit in MiB, 1 or more.
    """
    stored = await jetstream(client)
    found, wanted = stored.stream(stream), max_megabytes * MEBIBYTE
    if max_megabytes < 1:
        raise Refused("A limit of less than 1 MiB is none.", "Give 1 or more.")
    _require_room(stored, found, wanted)
    dropped = max(found.bytes - wanted, 0.0)
    change = limits.change(
        client.service.name,
        {"stream": found.name},
        {"max_bytes": found.limit},
        {"max_bytes": wanted},
        why=f"It holds {size(found.bytes)} of the {size(stored.most)} that all streams may take.",
        observed={"bytes": found.bytes, "messages": found.messages, "dropped_bytes": dropped},
    )
    summary = f"Limit stream {found.name} to {max_megabytes} MiB."
    return plan_of(summary, change, risk=_loss(found, dropped))


def _require_room(stored: JetStream, found: Stream, wanted: float) -> None:
    """JetStream promises a limited stream its whole size, and refuses what it cannot promise."""
    if not found.on_disk:
        return
    room = stored.most - (stored.reserved - max(found.limit, 0))
    if wanted > room:
        raise Refused(
            f"{size(wanted)} cannot be reserved: {size(room)} are left.", "Give less, or give JetStream more."
        )


def _loss(found: Stream, dropped: float) -> str:
    if not dropped:
        return "Nothing is dropped now; later the oldest messages go when the limit is reached."
    behind = [each.name for each in found.consumers if each.pending or each.unacknowledged]
    unread = f" Consumers that have not read everything: {', '.join(behind[:5])}." if behind else ""
    return f"About {size(dropped)} of the oldest messages are dropped and cannot be brought back.{unread}"


async def read_stream(client: NatsReader, key: JSON) -> JSON:
    """Which stream this is; None when it is gone. One of the same name made later is another."""
    stream = _find(await jetstream(client), key)
    return {"created": stream.created} if stream else None


async def purge(client: NatsWriter, change: Change) -> None:
    """STREAM.PURGE that keeps the newest messages."""
    await client.ask("STREAM.PURGE", _name(change.key), payload={"keep": _keep(change)})


async def purged(client: NatsReader, change: Change) -> bool:
    """Whether no more is left than what was to be kept and what came since it was planned."""
    stream = _find(await jetstream(client), change.key)
    if stream is None or stream.created != mapping(change.before).get("created"):
        return False
    came = stream.last - int(number(change.observed.get("last")))
    return stream.messages <= _keep(change) + came


def purge_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The command of the nats tool."""
    keep = f"--keep={int(number(mapping(key).get('keep')))}"
    return [shlex.join(("nats", "stream", "purge", keep, "--force", "--", _name(key)))]


def _keep(change: Change) -> int:
    return int(number(mapping(change.key).get("keep")))


purging = nats.action(
    "nats-stream-purge",
    read=read_stream,
    do=purge,
    check=purged,
    steps=purge_steps,
    verification="/jsz shows no more messages than were to be kept and have come since.",
    no_undo="Purged messages are gone.",
)


@nats.remediation(approval=Approval.HARD, uses=(purging,))
async def purge_stream_keep(client: NatsReader, stream: str, keep: int) -> Plan:
    """Drop all but the newest messages of a stream; what is dropped is gone.

    Refused when a consumer has yet to be given some of the messages that would be dropped.

    Args:
        stream: the stream's name.
        keep: how many of the newest messages stay, 1 or more.
    """
    found = (await jetstream(client)).stream(stream)
    if keep < 1:
        raise Refused("Nothing would be left.", "Keep 1 or more.")
    if found.messages <= keep:
        return nothing_to_do(f"{found.name} holds {counted(found.messages, 'message')}.")
    behind = [each for each in found.consumers if each.pending + each.unacknowledged > keep]
    if behind:
        left = counted(behind[0].pending + behind[0].unacknowledged, "message")
        raise Refused(
            f"Consumer {behind[0].name} has {left} still to do.",
            "Let it finish, or keep as many.",
        )
    change = purging.change(
        client.service.name,
        {"stream": found.name, "keep": keep},
        {"created": found.created},
        {"kept": keep},
        why=f"It holds {counted(found.messages, 'message')}, {size(found.bytes)}.",
        observed={"messages": found.messages, "last": found.last},
    )
    gone = counted(found.messages - keep, "message")
    return plan_of(f"Drop {gone} of {found.name}.", change, risk=f"Gone for good: about {gone}.")
