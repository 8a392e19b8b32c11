"""Opens an issue in Gitea or Forgejo for an incident that needs a person, and closes it when it is over."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cockpit.agent.communicator import markdown
from cockpit.model import Denied, Incident, IncidentStatus, Unexpected, Unreachable
from cockpit.serve.notify.wording import LINE
from cockpit.settings.daemon import Gitea
from cockpit.store.notices import Notice
from cockpit.store.store import Store

if TYPE_CHECKING:
    import httpx

ANSWERS_WITHIN = 20.0
PAGES, PAGE = 4, 50
"""So many of the newest issues are looked through for one whose opening was not confirmed."""
LONGEST = 60_000


class GiteaDoor:
    """Brings the issues of a repository in line with the incidents: what was done already is not done again.

    Args:
        settings: where.
        token: the access token, with the right to write issues.
        store: the log.
    """

    singly = True

    def __init__(self, settings: Gitea, token: str, store: Store) -> None:
        self._issues = f"/api/v1/repos/{settings.repository}/issues"
        self._url = settings.url
        self._token = token
        self._store = store

    async def send(self, notices: Sequence[Notice]) -> None:
        """Open or close what these are about. Raises Unreachable, Denied or Unexpected."""
        import httpx

        headers = {"Authorization": f"token {self._token}", "Accept": "application/json"}
        async with httpx.AsyncClient(base_url=self._url, headers=headers, timeout=ANSWERS_WITHIN) as client:
            for notice in notices:
                if notice.incident is not None:
                    await self._settle(client, notice.incident, again=notice.attempts > 0)

    async def _settle(self, client: httpx.AsyncClient, id: int, *, again: bool) -> None:
        incident = self._store.reader.incident(id)
        over = incident.status is IncidentStatus.RESOLVED
        number = self._store.notices.ticket(id)
        if number is None and again:
            number = await self._find(client, incident)
        if number is not None:
            self._store.notices.opened_ticket(id, number)
            await self._bring_to(client, number, "closed" if over else "open", incident)
        elif not over:
            issue = {"title": _title(incident), "body": self._body(incident)}
            opened = await self._ask(client, "POST", self._issues, issue)
            self._store.notices.opened_ticket(id, _number(opened))

    async def _bring_to(self, client: httpx.AsyncClient, number: int, state: str, incident: Incident) -> None:
        found = await self._ask(client, "GET", f"{self._issues}/{number}")
        if isinstance(found, dict) and found.get("state") == state:
            return
        text = "Resolved." if state == "closed" else "It is back, and needs a person."
        comment = {"body": f"{text}\n\n{self._body(incident)}"}
        await self._ask(client, "PATCH", f"{self._issues}/{number}", {"state": state})
        await self._ask(client, "POST", f"{self._issues}/{number}/comments", comment)

    async def _find(self, client: httpx.AsyncClient, incident: Incident) -> int | None:
        """An issue that an attempt opened whose answer never came."""
        for page in range(1, PAGES + 1):
            query = f"?state=all&type=issues&limit={PAGE}&page={page}"
            found = await self._ask(client, "GET", f"{self._issues}{query}")
            if not isinstance(found, list):
                raise Unexpected("Gitea answered a list of issues with something else.", "Check the url.")
            for issue in found:
                if isinstance(issue, dict) and self._mark(incident) in str(issue.get("body")):
                    return _number(issue)
            if len(found) < PAGE:
                break
        return None

    async def _ask(self, client: httpx.AsyncClient, method: str, path: str, json: Any = None) -> Any:
        # Any is what JSON of another program is until it was looked at.
        import httpx

        try:
            answer = await client.request(method, path, json=json)
        except httpx.HTTPError as error:
            raise Unreachable(f"Gitea does not answer: {type(error).__name__}.", "Check its url.") from None
        if answer.status_code in (401, 403, 404):
            raise Denied(
                f"Gitea refuses this ({answer.status_code}).",
                "Check the repository, and that the token may write issues.",
            )
        if not answer.is_success:
            raise Unexpected(f"Gitea answers {answer.status_code} to {method}.", "Look at its log.")
        try:
            return answer.json()
        except ValueError:
            raise Unexpected("Gitea answers with something that is no JSON.", "Check its url.") from None

    def _body(self, incident: Incident) -> str:
        text = markdown(self._store.reader, incident.id)
        return f"{_uncalled(text[:LONGEST])}\n\n<!-- {self._mark(incident)} -->"

    def _mark(self, incident: Incident) -> str:
        """What tells an issue of this incident from any other, also from those of another cockpit."""
        log = hashlib.sha256(f"{self._store.path.absolute()} {incident.opened_at!r}".encode()).hexdigest()[:16]
        return f"cockpit incident {incident.id} of {log}"


def _title(incident: Incident) -> str:
    return _uncalled(f"{incident.severity}: {incident.service}: {incident.title}"[:LINE])


def _uncalled(text: str) -> str:
    """The text without mentions: nobody is called by what stands in an alert."""
    return text.replace("@", "@\u2060")


def _number(issue: Any) -> int:
    # Any is what JSON of another program is until it was looked at.
    number = issue.get("number") if isinstance(issue, dict) else None
    if not isinstance(number, int) or isinstance(number, bool):
        raise Unexpected("Gitea answers with an issue that has no number.", "Check its url.")
    return number
