"""What NATS says of its streams and consumers in /jsz, read once and given names."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cockpit.model import Refused
from tools.nats.client import NatsReader
from tools.shapes import mapping, number, sequence, text

NANOSECONDS = 1e9
BETWEEN_LOOKS = 0.25
"""Seconds between two looks at a consumer that seems to stand still."""


@dataclass(frozen=True)
class Consumer:
    """A consumer of a stream, as /jsz shows it at the time `now`."""

    stream: str
    name: str
    config: Mapping[str, Any]
    fields: Mapping[str, Any]
    now: float

    @property
    def pending(self) -> float:
        """Messages that it has not been given yet."""
        return number(self.fields.get("num_pending"))

    @property
    def unacknowledged(self) -> float:
        """Messages that it was given and has not acknowledged."""
        return number(self.fields.get("num_ack_pending"))

    @property
    def redelivered(self) -> float:
        """Unacknowledged messages that were given more than once."""
        return number(self.fields.get("num_redelivered"))

    @property
    def attended(self) -> bool:
        """Whether a worker waits for messages now, by pulling or by being subscribed."""
        return number(self.fields.get("num_waiting")) > 0 or self.fields.get("push_bound") is True

    @property
    def position(self) -> int:
        """The stream's sequence up to which everything is acknowledged."""
        return int(number(mapping(self.fields.get("ack_floor")).get("stream_seq")))

    @property
    def idle(self) -> float:
        """Seconds since it was given or acknowledged anything, or since it was created."""
        times = [mapping(self.fields.get(part)).get("last_active") for part in ("delivered", "ack_floor")]
        return max(self.now - max(seconds(each) for each in (self.fields.get("created"), *times)), 0.0)

    @property
    def acknowledge_within(self) -> float:
        """Seconds after which an unacknowledged message is given again."""
        return number(self.config.get("ack_wait")) / NANOSECONDS

    def stalled(self, after: float) -> bool:
        """Whether work waits, nobody asks for it, and nothing has moved for `after` seconds.

        While a message may still be worked on, that is until its time to be acknowledged is
        over, it does not count as standing still.
        """
        patience = max(after, self.acknowledge_within) if self.unacknowledged else after
        return self.pending + self.unacknowledged > 0 and not self.attended and self.idle >= patience


@dataclass(frozen=True)
class Stream:
    """A stream of the account, with its consumers."""

    name: str
    created: str
    config: Mapping[str, Any]
    state: Mapping[str, Any]
    consumers: tuple[Consumer, ...]

    @property
    def bytes(self) -> float:
        """What its messages take."""
        return number(self.state.get("bytes"))

    @property
    def messages(self) -> int:
        """How many messages it holds."""
        return int(number(self.state.get("messages")))

    @property
    def last(self) -> int:
        """The sequence of its last message."""
        return int(number(self.state.get("last_seq")))

    @property
    def limit(self) -> int:
        """Its limit in bytes; -1 without one."""
        return int(number(self.config.get("max_bytes"), -1.0))

    @property
    def on_disk(self) -> bool:
        """Whether a restart keeps its messages."""
        return self.config.get("storage") != "memory"

    @property
    def unbounded(self) -> bool:
        """Whether neither size, count nor age ever removes a message, and no worker's acknowledgement does."""
        bounds = (number(self.config.get(name), -1.0) for name in ("max_bytes", "max_msgs", "max_age"))
        return all(bound <= 0 for bound in bounds) and self.config.get("retention") == "limits"

    @property
    def refuses(self) -> bool:
        """Whether it is full and refuses new messages instead of dropping old ones."""
        return self.config.get("discard") == "new" and 0 < self.limit <= self.bytes * 1.02


@dataclass(frozen=True)
class JetStream:
    """What /jsz says of the server and of one account's streams."""

    fields: Mapping[str, Any]
    streams: tuple[Stream, ...] = field(default=())

    @property
    def enabled(self) -> bool:
        """Whether JetStream is on."""
        return self.fields.get("disabled") is not True

    @property
    def storage(self) -> float:
        """Bytes that all file streams take."""
        return number(self.fields.get("storage"))

    @property
    def most(self) -> float:
        """Bytes that they may take."""
        return number(mapping(self.fields.get("config")).get("max_storage"))

    @property
    def ratio(self) -> float:
        """Storage used as a part of what may be used."""
        return self.storage / self.most if self.most > 0 else 0.0

    @property
    def reserved(self) -> float:
        """Bytes that streams with a limit have been promised."""
        return float(sum(stream.limit for stream in self.streams if stream.on_disk and stream.limit > 0))

    @property
    def consumers(self) -> list[Consumer]:
        """All consumers of all streams."""
        return [consumer for stream in self.streams for consumer in stream.consumers]

    def stream(self, name: str) -> Stream:
        """The stream of that name. Raises Refused."""
        for each in self.streams:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.streams[:20]) or "none"
        raise Refused(f"There is no stream '{text(name)}'.", f"Streams: {known}.")

    def consumer(self, stream: str, name: str) -> Consumer:
        """The consumer of that name. Raises Refused."""
        for each in self.stream(stream).consumers:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.stream(stream).consumers[:20]) or "none"
        raise Refused(f"Stream '{stream}' has no consumer '{text(name)}'.", f"Consumers: {known}.")


async def standing_still(client: NatsReader, stored: JetStream, uptime: float) -> list[Consumer]:
    """The consumers that stand still, those with the most pending messages first.

    It looks twice: in the instant between two requests of a worker, nobody asks for messages.
    For a while after the server's start it is too early to tell.

    Args:
        client: the reader, whose service says after how many seconds a consumer stands still.
        stored: the first look.
        uptime: seconds since the server's start.
    """
    after = client.number("stalled_after_seconds", 60.0)
    suspects = {(each.stream, each.name): each.position for each in stored.consumers if each.stalled(after)}
    if not suspects or uptime < after:
        return []
    await asyncio.sleep(BETWEEN_LOOKS)
    again = (await jetstream(client)).consumers
    still = [each for each in again if each.stalled(after) and suspects.get((each.stream, each.name)) == each.position]
    return sorted(still, key=lambda each: -each.pending)


async def jetstream(client: NatsReader) -> JetStream:
    """/jsz with all streams and consumers of the account."""
    answer = await client.get("jsz", accounts="true", streams="true", consumers="true", config="true", limit=1000)
    accounts = [mapping(each) for each in sequence(answer.get("account_details"))]
    details = [each for account in accounts if account.get("name") == client.account for each in _streams(account)]
    now = seconds(answer.get("now"))
    return JetStream(answer, tuple(sorted((_stream(each, now) for each in details), key=lambda each: each.name)))


def _streams(account: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [mapping(each) for each in sequence(account.get("stream_detail"))]


def _stream(detail: Mapping[str, Any], now: float) -> Stream:
    name = str(detail.get("name", ""))
    consumers = [mapping(each) for each in sequence(detail.get("consumer_detail"))]
    return Stream(
        name=name,
        created=text(detail.get("created")),
        config=mapping(detail.get("config")),
        state=mapping(detail.get("state")),
        consumers=tuple(
            sorted(
                (
                    Consumer(name, str(each.get("name", "")), mapping(each.get("config")), each, now)
                    for each in consumers
                ),
                key=lambda each: each.name,
            )
        ),
    )


def uptime(server: Mapping[str, Any]) -> float:
    """Seconds since the server's start, by its own clock, from /varz."""
    return max(seconds(server.get("now")) - seconds(server.get("start")), 0.0)


def seconds(moment: Any) -> float:
    """An RFC 3339 time as seconds since the epoch; 0.0 for what is none."""
    try:
        return datetime.fromisoformat(str(moment)).timestamp()
    except ValueError:
        return 0.0


def settings(config: Any) -> dict[str, Any]:
    """A stream's or consumer's config without what the server itself notes down in it."""
    found = dict(mapping(config))
    kept = {
        name: value for name, value in mapping(found.pop("metadata", None)).items() if not name.startswith("_nats.")
    }
    return {**found, "metadata": kept} if kept else found
