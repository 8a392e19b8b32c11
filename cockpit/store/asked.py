"""What models were asked, read from the log: for the screen, the budget and the choice of a model."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cockpit.model import CockpitError, Incident, Tier
from cockpit.model.inquiries import CallOutcome, Estimate, Inquiry, InquiryState, ModelCall, ModelRecord
from cockpit.store.rows import incident_from

WITH_PROGRESS = """
select inquiry.*, coalesce(inquiry_progress.text, '') as progress
from inquiry left join inquiry_progress on inquiry_progress.inquiry = inquiry.id
"""
ONE = f"{WITH_PROGRESS} where inquiry.id = ?"
UNENDED = f"{WITH_PROGRESS} where finished_at is null order by inquiry.id"
OF_INCIDENT = f"{WITH_PROGRESS} where incident = ? order by inquiry.id desc"
LATEST = f"{WITH_PROGRESS} order by inquiry.id desc limit ?"
CALLS = "select * from model_call where inquiry = ? order by id"
# Without what was sent and answered: a screen that follows an inquiry reads its cost several times a second.
BRIEF = """
select id, inquiry, model, tier, at, seconds, input_tokens, output_tokens, dollars, outcome, error,
  '{}' as sent, '{}' as reply
from model_call
"""
COSTS = f"{BRIEF} where inquiry = ? order by id"
LATELY = f"{BRIEF} order by id desc limit ?"
ASKING = f"{WITH_PROGRESS} where finished_at is null and state = 'asking' order by inquiry.id"
SPENT = "select coalesce(sum(dollars), 0) as dollars from model_call where at >= ?"
SPENT_ON = """
select coalesce(sum(model_call.dollars), 0) as dollars from model_call
join inquiry on inquiry.id = model_call.inquiry where inquiry.incident = ?
"""
KEPT = "select inquiry from kept_answer where digest = ? and at >= ?"
SIMILAR = """
select incident.* from incident_words join incident on incident.id = incident_words.rowid
where incident_words match ? and incident.id <> ? order by bm25(incident_words) limit ?
"""
RECORDS = """
select model, count(*) as calls, sum(outcome = 'answered') as answered, sum(input_tokens) as input_tokens,
  sum(output_tokens) as output_tokens, sum(dollars) as dollars,
  coalesce(avg(case when outcome = 'answered' then seconds end), 0) as seconds
from model_call group by model order by model
"""
# Which model gave the cause: the one whose call was the last to be answered in an inquiry that was.
CAUSES = """
select model_call.model, incident.id as incident, incident.service, incident.title,
  coalesce((select json_extract(event.data, '$.worked') from event
    where event.incident = incident.id and event.kind = 'feedback' order by event.id desc limit 1),
    (select max(proposal.state = 'done') from proposal where proposal.incident = incident.id
      and proposal.created_at >= inquiry.created_at and incident.status = 'resolved'), 0) as confirmed
from inquiry
join model_call on model_call.id = (select max(id) from model_call where inquiry = inquiry.id and outcome = 'answered')
join incident on incident.id = inquiry.incident
where inquiry.state = 'answered' and inquiry.question = ''
"""
# The last incidents of these alerts on that kind of service, and what each diagnostic was worth in them.
TOOLS = """
with alike as (
  select distinct incident.id from incident join alert on alert.incident = incident.id
  where alert.name in (select value from json_each(?)) and incident.service like ? || '/%' and incident.id <> ?
  order by incident.id desc limit 50
), cited as (
  select distinct event.incident, run.value as run from event, json_each(event.data, '$.evidence') as run
  where event.kind = 'diagnosis' and event.incident in alike
)
select run.tool, count(distinct run.incident) as incidents,
  count(distinct case when run.id in (select cited.run from cited) then run.incident end) as told
from run where run.incident in alike group by run.tool order by told desc, incidents, run.tool
"""
# What became of the incidents that a runbook gave the cause of; what a person said of one counts for it.
WORKED = """
select incident.runbook, count(*) as explained, sum(ended.well) as worked,
  max(case when ended.well then incident.resolved_at end) as last
from incident join (
  select incident.id, coalesce(
    (select json_extract(event.data, '$.worked') from event
      where event.incident = incident.id and event.kind = 'feedback' order by event.id desc limit 1),
    incident.status = 'resolved' and exists (
      select 1 from proposal where proposal.incident = incident.id and proposal.state = 'done')
  ) as well from incident
) as ended on ended.id = incident.id
where incident.runbook in (select value from json_each(?)) group by incident.runbook
"""


@dataclass(frozen=True, slots=True)
class RunbookRecord:
    """What a runbook did so far."""

    runbook: str
    explained: int
    """Incidents it gave the cause of."""
    worked: int
    """Those that ended after its proposal was carried out, or of which a person said that it worked."""
    last: float | None
    """When it last worked; None when it never did."""


@dataclass(frozen=True, slots=True)
class ToolRecord:
    """What a diagnostic was worth in past incidents of one kind."""

    tool: str
    incidents: int
    """Incidents it was run for."""
    told: int
    """Those whose diagnosis rests on it."""


class Asked:
    """Reads what models were asked. Made by `Reader.asked`.

    Args:
        rows: runs a query that only reads.
    """

    def __init__(self, rows: Callable[..., list[sqlite3.Row]]) -> None:
        self._rows = rows

    def inquiry(self, id: int) -> Inquiry:
        """One inquiry. Raises CockpitError when there is none of that number."""
        found = self._rows(ONE, id)
        if not found:
            raise CockpitError(f"There is no inquiry {id}.", "Ask with: cockpit ask")
        return inquiry_from(found[0])

    def unended(self) -> list[Inquiry]:
        """What waits for a yes, is open, or runs; oldest first."""
        return [inquiry_from(row) for row in self._rows(UNENDED)]

    def asking(self) -> list[Inquiry]:
        """What waits for a person's yes, oldest first."""
        return [inquiry_from(row) for row in self._rows(ASKING)]

    def of(self, incident: int) -> list[Inquiry]:
        """What was asked about an incident, newest first."""
        return [inquiry_from(row) for row in self._rows(OF_INCIDENT, incident)]

    def latest(self, limit: int = 50) -> list[Inquiry]:
        """The last that was asked, newest first."""
        return [inquiry_from(row) for row in self._rows(LATEST, limit)]

    def calls(self, inquiry: int) -> list[ModelCall]:
        """The calls of models that an inquiry took, oldest first."""
        return [model_call_from(row) for row in self._rows(CALLS, inquiry)]

    def costs(self, inquiry: int) -> list[ModelCall]:
        """The calls that an inquiry took, oldest first, without what was sent and answered."""
        return [model_call_from(row) for row in self._rows(COSTS, inquiry)]

    def lately(self, limit: int = 30) -> list[ModelCall]:
        """The last calls of all inquiries, newest first, without what was sent and answered."""
        return [model_call_from(row) for row in self._rows(LATELY, limit)]

    def spent(self, since: float) -> float:
        """Dollars that models cost since a time."""
        return float(self._rows(SPENT, since)[0]["dollars"])

    def spent_on(self, incident: int) -> float:
        """Dollars that models cost for an incident."""
        return float(self._rows(SPENT_ON, incident)[0]["dollars"])

    def kept(self, digest: str, since: float) -> Inquiry | None:
        """The inquiry that answered the same question with the same knowledge since a time."""
        found = self._rows(KEPT, digest, since)
        return self.inquiry(found[0]["inquiry"]) if found else None

    def similar(self, words: Iterable[str], but: int, limit: int = 3) -> list[Incident]:
        """Past incidents that share words with these, the most alike first."""
        quoted = " OR ".join('"' + word.replace('"', '""') + '"' for word in words if word.strip())
        return [incident_from(row) for row in self._rows(SIMILAR, quoted, but, limit)] if quoted else []

    def tools_for(self, kind: str, alerts: Iterable[str], but: int) -> list[ToolRecord]:
        """What diagnostics were worth in past incidents of these alerts on that kind of service, the best first."""
        rows = self._rows(TOOLS, json.dumps(sorted(alerts)), kind, but)
        return [ToolRecord(row["tool"], row["incidents"], row["told"]) for row in rows]

    def runbooks(self, ids: Iterable[str]) -> dict[str, RunbookRecord]:
        """What runbooks did so far, by id; one that never gave a cause is not among them."""
        rows = self._rows(WORKED, json.dumps(sorted(ids)))
        return {row["runbook"]: RunbookRecord(**{key: row[key] for key in row.keys()}) for row in rows}  # noqa: SIM118  a sqlite3.Row iterates over its values

    def records(self) -> list[ModelRecord]:
        """What each model did so far, by name."""
        causes = self._rows(CAUSES)
        return [
            ModelRecord(
                **{key: row[key] for key in row.keys()},  # noqa: SIM118  a sqlite3.Row iterates over its values
                diagnoses=sum(cause["model"] == row["model"] for cause in causes),
                confirmed=sum(cause["model"] == row["model"] and bool(cause["confirmed"]) for cause in causes),
            )
            for row in self._rows(RECORDS)
        ]

    def causes(self) -> list[tuple[str, Incident, bool]]:
        """The model that gave each incident's cause, with whether it was confirmed."""
        return [(row["model"], self._incident(row["incident"]), bool(row["confirmed"])) for row in self._rows(CAUSES)]

    def shares(self, kind: str = "") -> dict[str, tuple[int, int]]:
        """By model, the incidents it gave the cause of, and those of them confirmed: of one kind of service, or all."""
        found: dict[str, tuple[int, int]] = {}
        for row in self._rows(CAUSES):
            if kind in ("", row["service"].partition("/")[0]):
                given, confirmed = found.get(row["model"], (0, 0))
                found[row["model"]] = given + 1, confirmed + bool(row["confirmed"])
        return found

    def _incident(self, id: int) -> Incident:
        return incident_from(self._rows("select * from incident where id = ?", id)[0])


def inquiry_from(row: sqlite3.Row) -> Inquiry:
    """An inquiry."""
    return Inquiry(
        id=row["id"],
        incident=row["incident"],
        service=row["service"],
        question=row["question"],
        asked_by=row["actor"],
        state=InquiryState(row["state"]),
        created_at=row["created_at"],
        estimate=Estimate(row["model"], row["tokens"], row["dollars"]) if row["model"] else None,
        finished_at=row["finished_at"],
        outcome=row["outcome"],
        answer=json.loads(row["answer"]),
        progress=row["progress"],
    )


def model_call_from(row: sqlite3.Row) -> ModelCall:
    """One call of a model."""
    return ModelCall(
        id=row["id"],
        inquiry=row["inquiry"],
        model=row["model"],
        tier=Tier(row["tier"]),
        at=row["at"],
        seconds=row["seconds"],
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        dollars=row["dollars"],
        outcome=CallOutcome(row["outcome"]),
        error=row["error"],
        sent=json.loads(row["sent"]),
        reply=json.loads(row["reply"]),
    )
