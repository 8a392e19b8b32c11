"""An issue is opened for an incident that needs a person, once, and closed with it; against a server that checks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from cockpit.agent.silences import Silences
from cockpit.model import IncidentStatus
from cockpit.serve.notify.channel import Channel
from cockpit.serve.notify.dispatcher import Dispatcher
from cockpit.serve.notify.gitea import GiteaDoor
from cockpit.serve.notify.routes import TICKETS, Route
from cockpit.settings.daemon import Gitea
from tests.notify.receiver import Receiver, Request
from tests.unit.store_examples import Clock, Log, alert

TOKEN = "0123456789abcdef0123456789abcdef01234567"
ISSUES = "/api/v1/repos/ops/homelab/issues"


class Server:
    """Answers as Gitea's API v1 does for the issues of one repository."""

    def __init__(self) -> None:
        self.issues: list[dict] = []
        self.comments: list[tuple[int, str]] = []
        self.wrong: list[str] = []
        self.loses = 0
        """Answers that do not arrive although it did what was asked."""
        self.receiver = Receiver(self.answer)

    def answer(self, request: Request) -> tuple[int, object]:
        if request.headers.get("Authorization") != f"token {TOKEN}":
            return 401, {"message": "token is required"}
        path, _, query = request.path.partition("?")
        status, told = self.did(request, path, query)
        if self.loses and request.method != "GET":
            self.loses -= 1
            return 502, {}
        return status, told

    def did(self, request: Request, path: str, query: str) -> tuple[int, object]:
        one = re.fullmatch(rf"{ISSUES}/(\d+)(/comments)?", path)
        if path == ISSUES and request.method == "GET":
            wanted = dict(part.split("=") for part in query.split("&"))
            page, limit = int(wanted["page"]), int(wanted["limit"])
            return 200, self.issues[::-1][(page - 1) * limit : page * limit]
        if path == ISSUES and request.method == "POST":
            self.check(request.body, {"title": str, "body": str})
            issue = {"number": len(self.issues) + 7, "state": "open", **request.body}
            self.issues.append(issue)
            return 201, issue
        if one and (issue := next((each for each in self.issues if each["number"] == int(one[1])), None)):
            return self.did_to_one(request, issue, comment=bool(one[2]))
        return 404, {"message": "not found"}

    def did_to_one(self, request: Request, issue: dict, *, comment: bool) -> tuple[int, object]:
        if comment:
            self.check(request.body, {"body": str})
            self.comments.append((issue["number"], request.body["body"]))
            return 201, {"id": len(self.comments)}
        if request.method == "PATCH":
            self.check(request.body, {"state": str})
            issue.update(request.body)
            return 201, issue
        return 200, issue

    def check(self, body: object, wanted: dict[str, type]) -> None:
        found = {key: type(value) for key, value in body.items()} if isinstance(body, dict) else None
        if found != wanted or body.get("state") not in (None, "open", "closed"):
            self.wrong.append(repr(body))


class Desk:
    """A log with the channel that opens issues."""

    def __init__(self, folder: Path, token: str = TOKEN) -> None:
        self.log, self.server, self.ticks = Log(folder), Server(), Clock(0.0)
        settings = Gitea(self.server.receiver.url, "ops/homelab", SimpleNamespace())
        silences = Silences(self.log.store, {}, clock=self.log.clock)
        route = Route(TICKETS, only=("escalated", "resolved"))
        self.dispatcher = Dispatcher(self.log.store, [route], silences, clock=self.log.clock)
        self.dispatcher.look()
        door = GiteaDoor(settings, token, self.log.store)
        self.channel = Channel(TICKETS, self.log.store, door, 1.0, clock=self.log.clock, monotonic=self.ticks)

    async def after(self, incident: int, status: IncidentStatus) -> None:
        self.log.store.advance(incident, status, actor="healer", text=f"Now {status}.")
        await self.settle()

    async def settle(self, turns: int = 3) -> None:
        for _ in range(turns):
            self.ticks.now += 400.0
            self.dispatcher.look()
            await self.channel.turn()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    assert desk.server.wrong == []
    desk.server.receiver.stop()
    desk.log.store.close()


async def test_an_issue_is_opened_for_what_needs_a_person_and_closed_with_it(desk: Desk) -> None:
    incident = desk.log.opened()
    await desk.settle()
    assert desk.server.issues == []
    await desk.after(incident, IncidentStatus.ESCALATED)
    (issue,) = desk.server.issues
    assert issue["title"] == "warning: redis/main: Redis does not answer." and issue["state"] == "open"
    assert "## Timeline" in issue["body"]
    await desk.after(incident, IncidentStatus.RESOLVED)
    assert issue["state"] == "closed" and desk.server.comments[0][0] == issue["number"]
    assert "Resolved." in desk.server.comments[0][1]


async def test_an_incident_that_no_person_was_needed_for_opens_no_issue(desk: Desk) -> None:
    incident = desk.log.opened()
    await desk.after(incident, IncidentStatus.RESOLVED)
    assert desk.server.receiver.requests == []


async def test_what_comes_back_opens_the_same_issue_again(desk: Desk) -> None:
    incident = desk.log.opened()
    await desk.after(incident, IncidentStatus.ESCALATED)
    desk.log.store.clear_alerts(["redis/main:redis-down"], desk.log.clock.now)
    await desk.after(incident, IncidentStatus.RESOLVED)
    assert desk.log.opened() == incident
    await desk.after(incident, IncidentStatus.ESCALATED)
    (issue,) = desk.server.issues
    assert issue["state"] == "open"
    assert [text.partition(".")[0] for _, text in desk.server.comments] == [
        "Resolved",
        "It is back, and needs a person",
    ]


async def test_an_answer_that_is_lost_opens_no_second_issue(desk: Desk) -> None:
    for number in range(60):
        desk.server.issues.append({"number": number + 1000, "state": "open", "title": "other", "body": "other"})
    desk.server.loses = 1
    await desk.after(desk.log.opened(), IncidentStatus.ESCALATED)
    assert [issue["title"] for issue in desk.server.issues].count("warning: redis/main: Redis does not answer.") == 1
    assert desk.log.store.notices.waiting(TICKETS, desk.log.clock.now) == []


async def test_what_resolved_before_it_could_be_told_opens_no_issue(desk: Desk) -> None:
    incident = desk.log.opened()
    desk.server.receiver.status = 503
    await desk.after(incident, IncidentStatus.ESCALATED)
    await desk.after(incident, IncidentStatus.RESOLVED)
    desk.server.receiver.status = 0
    await desk.settle()
    assert desk.server.issues == []
    assert desk.log.store.notices.waiting(TICKETS, desk.log.clock.now) == []


async def test_a_token_that_is_refused_is_said_once_and_not_shown(tmp_path: Path) -> None:
    desk = Desk(tmp_path, token="wrong-token-wrong-token")
    await desk.after(desk.log.opened(), IncidentStatus.ESCALATED)
    told = [event.text for event in desk.log.store.reader.events() if event.kind == "note"]
    assert len(told) == 1 and "Check the repository, and that the token may write issues." in told[0]
    assert "wrong-token" not in told[0]
    desk.server.receiver.stop()
    desk.log.store.close()


async def test_hostile_text_in_an_issue_is_text_and_mentions_nobody(desk: Desk) -> None:
    summary = "@ann <script>alert(1)</script> ![x](http://evil/p) closes #1 <!-- cockpit incident 2 of x -->"
    incident = desk.log.store.ingest_alerts([alert("redis/main", summary=summary)])[0]
    await desk.after(incident, IncidentStatus.ESCALATED)
    (issue,) = desk.server.issues
    assert "@ann" not in issue["title"] + issue["body"]
    assert "<script>" not in issue["body"] and "![x]" not in issue["body"]
