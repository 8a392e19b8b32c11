"""A Bot API server in a thread. Every request is checked; what it refuses is kept as a problem."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cockpit.lab import ports
from tests.telegram.contract import METHODS, Refusal, checked
from tests.telegram.courier import Courier

TOKEN = "4242424242:AAtestTokenOfTheStubServer_0123456789"
BOT = {"id": 4242424242, "is_bot": True, "first_name": "Cockpit", "username": "cockpit_test_bot"}
SENDING = {"sendMessage", "editMessageText", "sendDocument", "answerCallbackQuery"}
"""The methods by which something reaches people."""
Fault = Callable[[str, int], str]
"""What goes wrong with a request of a method: empty for nothing; see `Handler.fail`."""


@dataclass
class Shown:
    """A message in the chat, as its readers see it."""

    id: int
    text: str
    keyboard: list[list[dict[str, str]]]
    silent: bool = False
    answers: int | None = None
    document: str = ""
    versions: list[str] = field(default_factory=list)

    def labels(self) -> list[str]:
        return [button["text"] for row in self.keyboard for button in row]

    def token(self, label: str) -> str:
        return next(each["callback_data"] for row in self.keyboard for each in row if each["text"] == label)


class BotApi:
    """The server, with what it was asked and what stands in its one chat."""

    def __init__(self, chat: int) -> None:
        self.chat = chat
        self.fault: Fault = lambda method, count: ""
        self.filters = True
        """Whether only the kinds of update that were asked for are delivered, as Telegram does."""
        self.requests: list[tuple[float, str, dict[str, Any]]] = []
        self.problems: list[str] = []
        self.messages: dict[int, Shown] = {}
        self.answered: dict[str, float] = {}
        self.commands: list[dict[str, str]] = []
        self.courier = Courier(self)
        self._updates: list[dict[str, Any]] = []
        self._pressed: set[str] = set()
        self._counts: dict[str, int] = {}
        self._number = 1000
        self._last = 0
        self._changed = threading.Condition()
        self._server: ThreadingHTTPServer | None = None
        self.port = ports.reserve()
        self._ended = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        api = self

        class Bound(Handler):
            server_api = api

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Bound)
        self._server.daemon_threads = True
        self._ended = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        threading.Thread(target=self.courier.run, daemon=True).start()

    def stop(self) -> None:
        """Let nothing answer at the address any more."""
        if self._server is None:
            return
        with self._changed:
            self._ended = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    # what people do

    def update(self, **content: Any) -> int:
        """Queue an update as it is; returns its number."""
        with self._changed:
            self._number += 1
            self._updates.append({"update_id": self._number, **content})
            self._changed.notify_all()
            return self._number

    def again(self, raw: dict[str, Any]) -> None:
        """Queue an update once more, with the number it had."""
        with self._changed:
            self._updates.append(raw)
            self._changed.notify_all()

    def say(self, user: int, text: str, **more: Any) -> int:
        return self.update(message=self.message(user, text, **more))

    def message(self, user: int, text: str, **more: Any) -> dict[str, Any]:
        person = {"id": user, "is_bot": False, "first_name": f"user{user}"}
        kind = "private" if self.chat > 0 else "supergroup"
        chat = {"id": self.chat, "type": kind, "title": "Ops"}
        return {"message_id": self._number + 5000, "date": int(time.time()), "chat": chat, "from": person,
                "text": text, **more}  # fmt: skip

    def press(self, user: int, message: int, token: str, **more: Any) -> str:
        """Press a button, or forge a press; returns the query's number."""
        query = f"q{self._number + 1}"
        self._pressed.add(query)
        shown = {"message_id": message, "date": 1, "chat": {"id": self.chat, "type": "private"}, "text": "x"}
        person = {"id": user, "is_bot": False, "first_name": f"user{user}"}
        content = {"id": query, "from": person, "chat_instance": "1", "message": shown, "data": token, **more}
        self.update(callback_query={key: value for key, value in content.items() if value is not None})
        return query

    # what the test sees

    def calls(self, method: str) -> list[dict[str, Any]]:
        with self._changed:
            return [params for _, name, params in self.requests if name == method]

    def sent(self) -> list[str]:
        """The methods by which something was sent to people, in the order in which it came."""
        with self._changed:
            return [method for _, method, _ in self.requests if method in SENDING]

    def find(self, text: str) -> Shown | None:
        """The newest message whose text holds something."""
        with self._changed:
            found = [shown for shown in self.messages.values() if text in shown.text]
        return found[-1] if found else None

    def all(self, text: str = "") -> list[Shown]:
        with self._changed:
            return [shown for shown in self.messages.values() if text in shown.text]

    def left(self) -> int:
        """Updates that were not confirmed yet."""
        with self._changed:
            return len(self._updates)

    # what the server does

    def count(self, method: str) -> int:
        with self._changed:
            self._counts[method] = self._counts.get(method, 0) + 1
            return self._counts[method]

    def answer(self, method: str, given: dict[str, Any]) -> Any:
        params = checked(method, given)
        with self._changed:
            self.requests.append((time.monotonic(), method, params))
        return getattr(self, f"_{method}", lambda **_: True)(**params)

    def _getMe(self) -> Any:
        return BOT

    def _setMyCommands(self, commands: list[dict[str, str]]) -> bool:
        self.commands = commands
        return True

    def _setWebhook(self, url: str, **more: Any) -> bool:
        with self._changed:
            self.courier.called(url, **more)
            self._changed.notify_all()
        return True

    def _deleteWebhook(self, drop_pending_updates: bool = False) -> bool:
        with self._changed:
            self.courier.called("")
            self._updates = [] if drop_pending_updates else self._updates
        return True

    def _getWebhookInfo(self) -> dict[str, Any]:
        with self._changed:
            return {**self.courier.info(), "has_custom_certificate": False, "pending_update_count": len(self._updates)}

    def wanted(self, allowed: Any) -> list[dict[str, Any]]:
        """The updates that wait, of the kinds that were asked for."""
        wanted = {"update_id", *(allowed or ("message", "callback_query", "edited_message"))}
        return [each for each in self._updates if not self.filters or set(each) <= wanted]

    def _getUpdates(
        self, offset: int = 0, limit: int = 100, timeout: int = 0, allowed_updates: Any = ()
    ) -> list[dict[str, Any]]:
        with self._changed:
            if self.courier.url:
                raise Refusal(409, "Conflict: can't use getUpdates method while webhook is active; "
                                   "use deleteWebhook to delete the webhook first")  # fmt: skip
            self._updates = [each for each in self._updates if each["update_id"] >= offset]
            self._changed.wait_for(lambda: self._updates or self._ended, timeout)
            return self.wanted(allowed_updates)[:limit]

    def _sendMessage(self, chat_id: Any, text: str, **more: Any) -> dict[str, Any]:
        return self._show(chat_id, text, more)

    def _sendDocument(self, chat_id: Any, document: bytes, caption: str = "", **more: Any) -> dict[str, Any]:
        return self._show(chat_id, caption, more, document.decode())

    def _show(self, chat_id: Any, text: str, more: dict[str, Any], document: str = "") -> dict[str, Any]:
        self._in_chat(chat_id)
        with self._changed:
            id = self._last = self._last + 1
            keyboard = more.get("reply_markup", {}).get("inline_keyboard", [])
            reply = more.get("reply_parameters", {})
            answers = reply.get("message_id")
            if answers is not None and answers not in self.messages and not reply.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            silent = bool(more.get("disable_notification"))
            self.messages[id] = Shown(id, text, keyboard, silent, answers, document, [text])
        return self._sent(id, text)

    def _sent(self, id: int, text: str) -> dict[str, Any]:
        chat = {"id": self.chat, "type": "private"}
        return {"message_id": id, "date": int(time.time()), "chat": chat, "from": BOT, "text": text}

    def _editMessageText(self, chat_id: Any, message_id: int, text: str, **more: Any) -> dict[str, Any]:
        self._in_chat(chat_id)
        keyboard = more.get("reply_markup", {}).get("inline_keyboard", [])
        with self._changed:
            shown = self.messages.get(message_id)
            if shown is None:
                raise Refusal(400, "Bad Request: message to edit not found")
            if (shown.text, shown.keyboard) == (text, keyboard):
                raise Refusal(400, "Bad Request: message is not modified: specified new message content is the same")
            shown.text, shown.keyboard = text, keyboard
            shown.versions.append(text)
        return self._sent(message_id, text)

    def _answerCallbackQuery(self, callback_query_id: str, **_: Any) -> bool:
        if callback_query_id not in self._pressed:
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        self.answered[callback_query_id] = time.monotonic()
        return True

    def _in_chat(self, chat_id: Any) -> None:
        if chat_id != self.chat:
            raise Refusal(400, "Bad Request: chat not found")


class Handler(BaseHTTPRequestHandler):
    """One connection; speaks HTTP/1.1 and keeps it open."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_api: BotApi

    def do_POST(self) -> None:
        api = self.server_api
        path = urlsplit(self.path)
        method = path.path.removeprefix(f"/bot{TOKEN}/")
        wanted = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(wanted)
        if len(body) < wanted:  # whoever asked has hung up half-way, as a cancelled request does
            self.close_connection = True
            return
        if method not in METHODS:
            found = path.path.startswith(f"/bot{TOKEN}/")
            self.reply(404 if found else 401, {"description": "Not Found" if found else "Unauthorized"})
            return
        try:
            given = parameters(path.query, self.headers.get("Content-Type", ""), body)
            fault = api.fault(method, api.count(method))
            if self.fail(fault):
                return
            result = api.answer(method, given)
            if fault == "cut after":
                self.cut()
            else:
                self.reply(200, {"result": result})
        except Refusal as refusal:
            if "not modified" not in refusal.description:  # there and back again before it was sent: no harm
                api.problems.append(f"{method}: {refusal.description}")
            answer: dict[str, Any] = {"description": refusal.description}
            self.reply(refusal.code, answer | ({"parameters": refusal.parameters} if refusal.parameters else {}))

    do_GET = do_POST

    def fail(self, fault: str) -> bool:
        """Answer with a fault instead of doing anything; whether that was so."""
        name, _, value = fault.partition(" ")
        if name == "429":
            description = f"Too Many Requests: retry after {value}"
            self.reply(429, {"description": description, "parameters": {"retry_after": int(value)}})
        elif name in ("400", "403", "500", "502", "503"):
            self.reply(int(name), {"description": "Bad Gateway"}, html=value == "html")
        elif fault == "cut before":
            self.cut()
        elif fault == "garbage":
            self.reply(200, {}, html=True)
        elif name == "slow":
            time.sleep(float(value))
            return False
        else:
            return False
        return True

    def cut(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def reply(self, code: int, content: dict[str, Any], *, html: bool = False) -> None:
        ok = {"ok": True} if code == 200 else {"ok": False, "error_code": code}
        data = b"<html>nothing here</html>" if html else json.dumps(ok | content).encode()
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        return


def parameters(query: str, content_type: str, body: bytes) -> dict[str, Any]:
    """The parameters of a request, from the address, a form or a multipart body; JSON where it is JSON."""
    pairs: dict[str, Any] = dict(parse_qsl(query))
    if content_type.startswith("multipart/form-data"):
        pairs |= dict(_multipart(content_type, body))
    elif content_type.startswith("application/json"):
        pairs |= json.loads(body)
    else:
        pairs |= dict(parse_qsl(body.decode(), keep_blank_values=True))
    return {name: _typed(name, value) for name, value in pairs.items()}


def _typed(name: str, value: Any) -> Any:
    if not isinstance(value, str) or name in ("text", "caption", "callback_query_id", "url", "secret_token"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def _multipart(content_type: str, body: bytes) -> Iterator[tuple[str, Any]]:
    message = BytesParser(policy=HTTP).parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    files: dict[str, bytes] = {}
    fields: dict[str, str] = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]  # the message has parts
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if part.get_filename():
            files[name] = content
        else:
            fields[name] = content.decode()
    for name, text in fields.items():
        yield name, files.pop(text.removeprefix("attach://")) if text.startswith("attach://") else text
    yield from files.items()
