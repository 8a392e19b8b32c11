"""Changes of consumers: how long a job may take, and removing one that nobody attends."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cockpit.model import JSON, Approval, Plan, Refused, Unexpected
from cockpit.toolkit import counted, nothing_to_do, plan_of
from tools.amounts import duration
from tools.nats.client import NatsReader, NatsWriter
from tools.nats.kind import nats
from tools.nats.readings import NANOSECONDS, Consumer, jetstream, settings
from tools.shapes import mapping, number

STARTS = ("deliver_policy", "opt_start_seq", "opt_start_time")
"""Where a consumer began; a consumer that is put back begins where it stood instead."""


def _names(key: JSON) -> tuple[str, str]:
    stream, consumer = mapping(key).get("stream"), mapping(key).get("consumer")
    if not isinstance(stream, str) or not isinstance(consumer, str):
        raise Unexpected("The change names no consumer.")
    return stream, consumer


async def _find(client: NatsReader, key: JSON) -> Consumer | None:
    stream, name = _names(key)
    found = (each for each in (await jetstream(client)).consumers if (each.stream, each.name) == (stream, name))
    return next(found, None)


async def read_ack_wait(client: NatsReader, key: JSON) -> JSON:
    """Seconds that a message may take; None when the consumer is gone."""
    consumer = await _find(client, key)
    return {"ack_wait_seconds": consumer.acknowledge_within} if consumer else None


async def write_ack_wait(client: NatsWriter, key: JSON, before: JSON, after: JSON) -> None:
    """CONSUMER.CREATE with the action `update`: the config that is there, with another ack_wait."""
    stream, name = _names(key)
    answer = await client.ask("CONSUMER.INFO", stream, name)
    wait = int(number(mapping(after).get("ack_wait_seconds")) * NANOSECONDS)
    await _create(client, stream, name, {**settings(answer.get("config")), "ack_wait": wait}, "update")


async def _create(client: NatsWriter, stream: str, name: str, config: Mapping[str, Any], action: str) -> None:
    payload: JSON = {"stream_name": stream, "config": dict(config), "action": action}
    await client.ask("CONSUMER.CREATE", stream, name, payload=payload)


def ack_wait_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The command of the nats tool."""
    wait = number(mapping(after).get("ack_wait_seconds"))
    return [shlex.join(("nats", "consumer", "edit", f"--wait={wait:g}s", "--force", "--", *_names(key)))]


ack_waits = nats.resource(
    "nats-consumer-ack-wait",
    read=read_ack_wait,
    write=write_ack_wait,
    steps=ack_wait_steps,
    verification="/jsz shows the consumer with this ack_wait.",
)


@nats.remediation(approval=Approval.HARD, uses=(ack_waits,))
async def set_consumer_ack_wait(client: NatsReader, stream: str, consumer: str, seconds: int) -> Plan:
    """Give a consumer's workers more time for a message before it is given to someone again.

    Args:
        stream: the stream's name.
        consumer: the consumer's name.
        seconds: longer than the longest job, 1 to 86400.
    """
    found = (await jetstream(client)).consumer(stream, consumer)
    if not 1 <= seconds <= 86_400:
        raise Refused(f"{seconds} s is no time that a job takes.", "Give 1 to 86400.")
    if found.config.get("backoff"):
        raise Refused(f"{consumer} has a back-off list, which stands in the place of ack_wait.", "Edit that list.")
    if found.acknowledge_within == seconds:
        return nothing_to_do(f"{consumer} waits {seconds} s already.")
    change = ack_waits.change(
        client.service.name,
        {"stream": stream, "consumer": consumer},
        {"ack_wait_seconds": found.acknowledge_within},
        {"ack_wait_seconds": float(seconds)},
        why=f"Messages given more than once: {found.redelivered:,.0f} of {found.unacknowledged:,.0f} unacknowledged.",
        observed={"redelivered": found.redelivered, "unacknowledged": found.unacknowledged},
    )
    risk = f"A message whose worker dies is given again after {duration(seconds)} at the earliest."
    return plan_of(f"Give {consumer} {seconds} s for each message.", change, risk=risk)


async def read_consumer(client: NatsReader, key: JSON) -> JSON:
    """The consumer's config and the position it has reached; None when it is gone."""
    consumer = await _find(client, key)
    return _kept(consumer) if consumer else None


def _kept(consumer: Consumer) -> JSON:
    config = {name: value for name, value in settings(consumer.config).items() if name not in STARTS}
    return {"config": config, "position": consumer.position}


async def write_consumer(client: NatsWriter, key: JSON, before: JSON, after: JSON) -> None:
    """CONSUMER.DELETE, or CONSUMER.CREATE that begins behind the position that is kept."""
    stream, name = _names(key)
    if after is None:
        await client.ask("CONSUMER.DELETE", stream, name)
        return
    start = {"deliver_policy": "by_start_sequence", "opt_start_seq": int(number(mapping(after).get("position"))) + 1}
    await _create(client, stream, name, {**mapping(mapping(after).get("config")), **start}, "create")


def consumer_steps(key: JSON, before: JSON, after: JSON) -> Sequence[str]:
    """The command of the nats tool."""
    if after is None:
        return [shlex.join(("nats", "consumer", "rm", "--force", "--", *_names(key)))]
    start = int(number(mapping(after).get("position"))) + 1
    made = shlex.join(("nats", "consumer", "add", f"--deliver={start}", "--", *_names(key)))
    return [f"{made}, with the config that is kept in this change"]


definitions = nats.resource(
    "nats-consumer",
    read=read_consumer,
    write=write_consumer,
    steps=consumer_steps,
    verification="/jsz no longer shows the consumer, or shows it with this config and position.",
)


@nats.remediation(approval=Approval.HARD, uses=(definitions,))
async def delete_stuck_consumer(client: NatsReader, stream: str, consumer: str) -> Plan:
    """Delete a consumer that stands still and that no worker attends any more.

    Its config and position are kept: undoing makes it again from where it stood. Refused when
    a worker waits on it or it still moves, and where deleting it would drop its messages.

    Args:
        stream: the stream's name.
        consumer: the consumer's name.
    """
    stored = await jetstream(client)
    found = stored.consumer(stream, consumer)
    if found.attended or not found.stalled(client.number("stalled_after_seconds", 60.0)):
        raise Refused(f"{consumer} does not stand still.", "Only a consumer that nobody attends is deleted here.")
    if stored.stream(stream).config.get("retention") == "interest":
        raise Refused(f"{stream} keeps messages for its consumers alone and would drop them with {consumer}.")
    waiting = counted(found.pending, "message waits", "messages wait")
    change = definitions.change(
        client.service.name,
        {"stream": stream, "consumer": consumer},
        _kept(found),
        None,
        why=f"{waiting}, and nothing has moved for {duration(found.idle)}.",
        observed={"pending": found.pending, "idle_seconds": found.idle},
    )
    risk = f"A worker that comes back fails until {consumer} is made again; the messages stay in {stream}."
    return plan_of(f"Delete consumer {consumer} of {stream}.", change, risk=risk)
