"""Posts alerts over many connections at once, as fast as answers come or at a given rate, and measures each."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

ANSWER_ENDS = b"\r\n\r\n"


@dataclass
class Measured:
    """What came of a load."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0
    """Answers other than 200."""

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds


class Caller(asyncio.Protocol):
    """One connection that sends the next request when the last one was answered, not before it is due."""

    def __init__(self, requests: Iterator[bytes], measured: Measured, pace: Callable[[], float] | None) -> None:
        self._requests = requests
        self._measured = measured
        self._pace = pace
        self._buffer = b""
        self._sent = 0.0
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_exception(error or ConnectionError("The server closed the connection."))

    def _next(self) -> None:
        delay = self._pace() if self._pace else 0.0
        if delay > 0:
            asyncio.get_running_loop().call_later(delay, self._send, time.perf_counter() + delay)
        else:
            self._send(time.perf_counter() + delay)

    def _send(self, due: float) -> None:
        request = next(self._requests, None)
        if request is None:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._sent = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, sep, body = self._buffer.partition(ANSWER_ENDS)
        if not sep or len(body) < _length(head):
            return
        self._buffer = b""
        self._measured.latencies.append(time.perf_counter() - self._sent)
        self._measured.refused += b" 200 " not in head[:14]
        self._next()


def _length(head: bytes) -> int:
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])


async def load(port: int, requests: Iterator[bytes], connections: int, rate: float = 0.0) -> Measured:
    """Send every request once; with a rate, each is due at its time, and late answers count from there."""
    measured, loop = Measured(), asyncio.get_running_loop()
    started, count = time.perf_counter(), 0

    def pace() -> float:
        nonlocal count
        count += 1
        return started + count / rate - time.perf_counter()

    callers = [Caller(requests, measured, pace if rate else None) for _ in range(connections)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.gather(*(caller.ended for caller in callers))
    measured.seconds = time.perf_counter() - started
    return measured


def post(port: int, number: int, status: str = "firing", names: int = 50, token: str = "") -> bytes:
    """One request of Alertmanager with one alert, of so many alert names."""
    labels = {
        "alertname": f"Alert{number % names}",
        "instance": f"host{number}.example.net:9100",
        "job": "node",
        "severity": "warning",
    }
    body = json.dumps(
        {
            "receiver": "cockpit",
            "status": status,
            "alerts": [
                {
                    "status": status,
                    "labels": labels,
                    "annotations": {"summary": f"Something is wrong with host{number}."},
                    "startsAt": "2026-11-20T10:00:00.123Z",
                    "endsAt": "0001-01-01T00:00:00Z",
                    "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
                    "fingerprint": f"{number:016x}",
                }
            ],
            "groupLabels": {"alertname": labels["alertname"]},
            "commonLabels": labels,
            "commonAnnotations": {"summary": f"Something is wrong with host{number}."},
            "externalURL": "http://alertmanager:9093",
            "version": "4",
            "groupKey": '{}:{alertname="Alert"}',
            "truncatedAlerts": 0,
        }
    ).encode()
    head = (
        f"POST /api/v1/alerts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: Alertmanager/0.25.0\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
