"""Alerts, the incidents they are folded into, and what was looked at; every function works inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cockpit.model import (
    JSON,
    Alert,
    Call,
    CockpitError,
    Finding,
    Incident,
    IncidentStatus,
    Role,
    Run,
    RunStatus,
    Severity,
    canonical,
)
from cockpit.store.rows import incident_from, run_from
from cockpit.store.transaction import Entry, Transaction, Written, plain
from cockpit.text import counted

MOST_TOLD = 200
"""Alerts that one event tells of at the most."""
REOPEN_WITHIN = 300.0
"""Seconds after its end within which the same alert on the same service reopens an incident."""
FLAPS, FLAPS_WITHIN = 3, 3600.0
"""An incident that was reopened this often within these seconds is flapping."""

FIRING = "select * from alert where fingerprint = ? and resolved_at is null"
OPEN = "select * from incident where service = ? and status <> 'resolved'"
RECENTLY_RESOLVED = """
select incident.* from incident join alert on alert.incident = incident.id
where incident.service = ? and incident.resolved_at > ? and alert.service = ? and alert.name = ?
order by incident.resolved_at desc limit 1
"""
GROW = """
update incident set alerts = json_extract(new.value, '$[1]'), severity = json_extract(new.value, '$[2]')
from json_each(?) as new where incident.id = json_extract(new.value, '$[0]')
"""
REOPENINGS = """
select count(*) as times from event
where incident = ? and kind = 'status' and at > ? and json_extract(data, '$.reopened') = 1
"""
FINDABLE = """
insert into incident_words (rowid, service, title, cause) select id, service, title, cause from incident where id = ?
"""
RESOLVED_ALERT = "update alert set resolved_at = ? where fingerprint = ? and resolved_at is null returning id, incident"


@dataclass(slots=True)
class Case:
    """An incident with alerts that fire anew, not yet written."""

    incident: Written
    """Its row."""
    how: str
    """What the first of the alerts did to it: `opened`, `reopened` or `joined`."""
    alerts: list[Written]
    """Their rows."""


def ingest(log: Transaction, alerts: Sequence[Alert], under: Mapping[str, str]) -> list[int]:
    """Fold firing alerts into incidents; returns the incident of each."""
    return [_ingest_one(log, alert, under.get(alert.service)) for alert in alerts]


def _ingest_one(log: Transaction, alert: Alert, parent: str | None) -> int:
    known = log.one(FIRING, log.text(alert.fingerprint))
    if known is not None:
        return _again(log, known, alert)
    case = case_for(log, alert, parent)
    case.alerts.append(alert_row(log, last_alert(log) + 1, case.incident["id"], alert))
    tell(log, [case])
    return int(case.incident["id"])


def last_alert(log: Transaction) -> int:
    """The id of the newest alert; 0 when there is none."""
    row = log.one("select coalesce(max(id), 0) as id from alert")
    assert row is not None
    return int(row["id"])


def texts_of(alert: Alert) -> tuple[str, ...]:
    """The texts of an alert that are seldom those of others."""
    return (alert.name, alert.summary, *alert.labels.values())


def alert_row(log: Transaction, key: int, incident: int, alert: Alert) -> Written:
    """The row of an alert that fires."""
    return {
        "id": key,
        "incident": incident,
        "fingerprint": log.text(alert.fingerprint),
        "service": log.text(alert.service),
        "name": log.text(alert.name),
        "severity": alert.severity.value,
        "summary": log.text(alert.summary),
        "starts_at": float(alert.starts_at),
        "source": log.text(alert.source),
        "labels": log.json(alert.labels),
        "resolved_at": None,
    }


def tell(log: Transaction, cases: Sequence[Case]) -> None:
    """Append the alerts of these cases, count them in their incidents, and tell of them in an event or more each."""
    log.insert_all("alert", [alert for case in cases for alert in case.alerts])
    told = [entry for case in cases for entry in _told(case)]
    log.execute(GROW, canonical([[case.incident[column] for column in ("id", "alerts", "severity")] for case in cases]))
    log.events(told)


def _told(case: Case) -> Iterator[Entry]:
    how = case.how
    for start in range(0, len(case.alerts), MOST_TOLD):
        alerts = case.alerts[start : start + MOST_TOLD]
        worst = max((Severity(alert["severity"]) for alert in alerts), key=lambda severity: severity.rank)
        case.incident = _grown(case.incident, len(alerts), worst)
        yield _entry(case.incident, alerts, worst, how)
        how = "joined"


def _grown(incident: Written, count: int, severity: Severity) -> Written:
    """The incident with so many alerts more, and no less severe than that."""
    severer = severity.rank > Severity(incident["severity"]).rank
    return {
        **incident,
        "alerts": incident["alerts"] + count,
        "severity": severity.value if severer else incident["severity"],
    }


def _again(log: Transaction, known: sqlite3.Row, alert: Alert) -> int:
    """Count a report of an alert that fires already; only a higher severity is news."""
    log.execute("update alert set times = times + 1 where id = ?", known["id"])
    incident: int = known["incident"]
    if alert.severity.rank > Severity(known["severity"]).rank:
        log.execute("update alert set severity = ? where id = ?", alert.severity, known["id"])
        grown = _grown(_row(log, incident), 0, alert.severity)
        log.execute("update incident set severity = ? where id = ?", grown["severity"], incident)
        severer = {**plain(known), "severity": alert.severity.value}
        log.events([_entry(grown, [severer], alert.severity, "severer")])
    return incident


def case_for(log: Transaction, alert: Alert, parent: str | None) -> Case:
    """The incident an alert belongs to: one that is open, one that is opened again, or a new one."""
    for service in (alert.service, parent):
        row = log.one(OPEN, log.text(service)) if service else None
        if row is not None:
            return Case(plain(row), "joined", [])
    name, service = log.text(alert.name), log.text(alert.service)
    row = log.one(RECENTLY_RESOLVED, service, log.now - REOPEN_WITHIN, service, name)
    if row is not None:
        _reopen(log, row["id"], alert)
        return Case(_row(log, row["id"]), "reopened", [])
    opened = log.insert(
        "incident",
        service=service,
        title=log.text(alert.summary or alert.name),
        severity=alert.severity,
        status=IncidentStatus.OPEN,
        opened_at=log.now,
        updated_at=log.now,
    )
    return Case(_row(log, opened), "opened", [])


def _row(log: Transaction, incident: int) -> Written:
    return plain(_existing(log, incident))


def _reopen(log: Transaction, incident: int, alert: Alert) -> None:
    log.execute("update incident set status = 'open', resolved_at = null where id = ?", incident)
    before = log.one(REOPENINGS, incident, log.now - FLAPS_WITHIN)
    assert before is not None
    flapping = before["times"] + 1 >= FLAPS
    if flapping:
        log.execute("update incident set flapping = 1 where id = ?", incident)
    log.event(
        "status",
        f"Opened again: {alert.name} came back" + (", it is flapping." if flapping else "."),
        actor=Role.MONITOR,
        incident=incident,
        service=alert.service,
        data={"status": IncidentStatus.OPEN, "reopened": True, "flapping": flapping},
        vouches=[("incident", incident)],
    )


def _entry(incident: Written, alerts: Sequence[Written], severity: Severity, how: str) -> Entry:
    """The event that tells of alerts, and vouches for them and for their incident."""
    alert, others = alerts[0], [other["id"] for other in alerts[1:]]
    data: dict[str, JSON] = {
        "alert": alert["id"],
        "name": alert["name"],
        "severity": severity,
        "source": alert["source"],
        "fingerprint": alert["fingerprint"],
        "starts_at": alert["starts_at"],
        "incident": how,
    }
    if others:
        data["others"] = others
    return Entry(
        "alert",
        (alert["summary"] or alert["name"]) + (f" (and {counted(len(others), 'more alert')})" if others else ""),
        Role.MONITOR,
        None,
        incident["id"],
        alert["service"],
        data,
        [*(("alert", each) for each in alerts), ("incident", incident)],
    )


def clear(log: Transaction, fingerprints: Iterable[str], at: float) -> list[int]:
    """Mark alerts as cleared; returns the incidents in which nothing fires any more."""
    touched: dict[int, None] = {}
    for fingerprint in fingerprints:
        for cleared in log.all(RESOLVED_ALERT, at, log.text(fingerprint)):
            alert = log.row("alert", cleared["id"])
            assert alert is not None
            touched[cleared["incident"]] = None
            log.event(
                "alert",
                f"Cleared: {alert['name']}.",
                actor=Role.MONITOR,
                at=at,
                incident=cleared["incident"],
                service=alert["service"],
                data={"alert": cleared["id"], "name": alert["name"], "cleared": True},
                vouches=[("alert", cleared["id"])],
            )
    still = "select 1 from alert where incident = ? and resolved_at is null"
    return [incident for incident in touched if log.one(still, incident) is None]


def advance(
    log: Transaction,
    incident: int,
    status: IncidentStatus,
    *,
    actor: str,
    text: str,
    cause: str,
    runbook: str,
    data: Mapping[str, JSON],
) -> Incident:
    """Move an incident on; a cause or runbook that is given replaces what it had."""
    row = _existing(log, incident)
    if row["status"] == IncidentStatus.RESOLVED and status != IncidentStatus.RESOLVED:
        raise CockpitError(f"Incident {incident} is resolved already.", "It opens again when its alert comes back.")
    log.execute(
        "update incident set status = ?, resolved_at = ?, cause = ?, runbook = ? where id = ?",
        status,
        (row["resolved_at"] or log.now) if status == IncidentStatus.RESOLVED else None,
        log.text(cause) or row["cause"],
        log.text(runbook) or row["runbook"],
        incident,
    )
    log.event(
        "status",
        text,
        actor=actor,
        incident=incident,
        service=row["service"],
        data={**data, "status": status, "was": row["status"]},
        vouches=[("incident", incident)],
    )
    if status == IncidentStatus.RESOLVED:
        log.execute("delete from incident_words where rowid = ?", incident)
        log.execute(FINDABLE, incident)
    return incident_from(_existing(log, incident))


def _existing(log: Transaction, incident: int) -> sqlite3.Row:
    row = log.row("incident", incident)
    if row is None:
        raise CockpitError(f"There is no incident {incident}.", "List them with: cockpit incidents")
    return row


def _told_of_run(run: int, call: Call, status: RunStatus, error_type: str) -> dict[str, JSON]:
    told: dict[str, JSON] = {"run": run, "tool": call.tool, "status": status}
    return {**told, "error_type": error_type} if error_type else told


def record_run(
    log: Transaction,
    incident: int | None,
    call: Call,
    finding: Finding | None,
    *,
    error: str,
    started_at: float,
    seconds: float,
    actor: str,
    error_type: str,
) -> Run:
    """Keep one run of a diagnostic as evidence; without a finding it is an error."""
    status = finding.status if finding else RunStatus.ERROR
    summary = finding.summary if finding else error
    run = log.insert(
        "run",
        incident=incident,
        tool=log.text(call.tool),
        service=log.text(call.service),
        arguments=log.json(call.arguments),
        status=status,
        summary=log.text(summary),
        data=log.json(finding.data if finding else {}),
        started_at=float(started_at),
        seconds=float(seconds),
    )
    log.event(
        "run",
        f"{call.tool}: {summary}",
        actor=actor,
        incident=incident,
        service=call.service,
        data=_told_of_run(run, call, status, error_type),
        vouches=[("run", run)],
    )
    row = log.row("run", run)
    assert row is not None
    return run_from(row)
