"""Over 200 requests that no sender means: each has to be refused, and none may be stored or do harm."""

from __future__ import annotations

import json
from collections.abc import Iterator

from tests.integration.http_world import alert, webhook

NO_JSON = (
    b"", b"{", b"}", b"[", b"]", b'"', b"nul", b"tru", b"{]", b"[}", b"{}{}", b"[1,]", b"[,1]", b'{"a":}', b'{"a" 1}',
    b"{'a': 1}", b'{"a":1,}', b"{a:1}", b"// no", b"/* no */ {}", b"\x00", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x80abc",
    b'{"a":"\xc3\x28"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\n"}', b'{"a":"\x00"}', b'{"a":"\\x"}', b'{"a":"\\u12"}',
    b"NaN", b"Infinity", b"-Infinity", b'{"alerts":[NaN]}', b'{"version":Infinity}', b"0x10", b"01", b"1.", b".5",
    b"+1",
    b"1e", b"--1", b"9" * 5000, b"<xml/>", b"a=1&b=2", b"%7B%7D", b"\r\n\r\n", b"\t", b"HTTP/1.1 200 OK",
    b'{"a":1,"a":2}', b'{"version":"4","version":"4","alerts":[]}', b'[{"labels":{"a":"1","a":"2"}}]',
    b"[" * 10_000, b"[" * 10_000 + b"]" * 10_000, b'{"a":' * 10_000, b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-32"), "{“a”:1}".encode(),
)  # fmt: skip
"""Bodies that are no JSON, or none that is unambiguous."""

NO_VALUES: tuple[object, ...] = (None, True, 0, -1, 1.5, "", "x", [], {}, [[]], [None], [1], ["x"], {"a": 1})


def not_meant() -> Iterator[bytes]:
    """Bodies of JSON that Alertmanager does not post."""
    for value in (None, True, 3, "alerts", {}, {"alerts": []}, [None], [1], ["x"], [[]], [{}]):
        yield json.dumps(value).encode()
    for key, values in _WRONG_IN_WEBHOOK.items():
        for value in values:
            yield json.dumps({**webhook(alert()), key: value}).encode()
    for key, values in _WRONG_IN_ALERT.items():
        for value in values:
            yield json.dumps(webhook(alert("Good"), {**alert(), key: value})).encode()
    for key in ("labels", "annotations"):
        for value in NO_VALUES:
            if not isinstance(value, str):
                yield json.dumps(webhook({**alert(), key: {"alertname": "A", "x": value}})).encode()
    for missing in ("status", "labels"):
        yield json.dumps(webhook({key: value for key, value in alert().items() if key != missing})).encode()
    for key in ("labels", "annotations", "startsAt", "endsAt"):
        for value in ([], "x", 3, [1]) if key in ("labels", "annotations") else ("x", 3, [], {}):
            if key == "annotations" and value == []:
                continue
            yield json.dumps([{"labels": {"alertname": "A"}, key: value}]).encode()


_WRONG_IN_WEBHOOK: dict[str, tuple[object, ...]] = {
    "version": (None, True, 4, 4.0, "", "1", "3", "5", "04", "4 ", ["4"], {"4": "4"}),
    "alerts": (None, True, 0, "", "x", {}, {"a": 1}, [None], [1], ["x"], [[]], [{}]),
}
_WRONG_IN_ALERT: dict[str, tuple[object, ...]] = {
    "status": (None, True, 0, "", "FIRING", "Resolved", "x", [], {}),
    "labels": tuple(value for value in NO_VALUES if value != {"a": "1"}),
    "annotations": tuple(value for value in NO_VALUES if value not in (None, "", [], {}, 0)),
    "startsAt": (True, 0, 1.5, "x", "yesterday", [], {}, "2026-13-01T00:00:00Z", "99999-01-01T00:00:00Z"),
}

_LENGTH = b"Content-Length: 2\r\n"
_HEAD = b"POST /api/v1/alerts HTTP/1.1\r\nHost: x\r\n"
NO_HTTP = (
    b"\r\n\r\n\r\n\r\n", b"\x00\x00\x00\x00\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    b"GET\r\n\r\n", b"GET /\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / FTP/1.1\r\n\r\n", b" GET / HTTP/1.1\r\n\r\n",
    b"G\x00T / HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n\r\n", b"EHLO x\r\n\r\n", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    b"GET / HTTP/1.1\r\n Host: x\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA\x00: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 20_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"A%d: b\r\n" % n for n in range(500)) + b"\r\n",
    _HEAD + b"Content-Length: -1\r\n\r\n{}", _HEAD + b"Content-Length: 2, 3\r\n\r\n{}",
    _HEAD + b"Content-Length: x\r\n\r\n{}", _HEAD + b"Content-Length: 1e1\r\n\r\n{}",
    _HEAD + b"Content-Length: 99999999999999999999\r\n\r\n{}", _HEAD + b"Content-Length: +2\r\n\r\n{}",
    _HEAD + _LENGTH + b"Content-Length: 3\r\n\r\n{}x", _HEAD + _LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nx\r\n{}\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}", _HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    _HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
)  # fmt: skip
"""What is no HTTP/1.1, or means one thing to a proxy and another to a server behind it."""
