"""Alerts, the incidents they are folded into, and what was looked at; every function works inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

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
)
from cockpit.store.rows import incident_from, run_from
from cockpit.store.transaction import Transaction

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
REOPENINGS = """
select count(*) as times from event
where incident = ? and kind = 'status' and at > ? and json_extract(data, '$.reopened') = 1
"""
FINDABLE = """
insert into incident_words (rowid, service, title, cause) select id, service, title, cause from incident where id = ?
"""
RESOLVED_ALERT = "update alert set resolved_at = ? where fingerprint = ? and resolved_at is null returning id, incident"


def ingest(log: Transaction, alerts: Sequence[Alert], under: Mapping[str, str]) -> list[int]:
    """Fold firing alerts into incidents; returns the incident of each."""
    return [_ingest_one(log, alert, under.get(alert.service)) for alert in alerts]


def _ingest_one(log: Transaction, alert: Alert, parent: str | None) -> int:
    known = log.one(FIRING, log.text(alert.fingerprint))
    if known is not None:
        return _again(log, known, alert)
    incident, how = incident_for(log, alert, parent)
    tell(log, incident, [(insert(log, incident, alert), alert)], how)
    return incident


def insert(log: Transaction, incident: int, alert: Alert) -> int:
    """Append an alert that fires; returns its row. The incident is brought up to date by `tell`."""
    return log.insert(
        "alert",
        incident=incident,
        fingerprint=log.text(alert.fingerprint),
        service=log.text(alert.service),
        name=log.text(alert.name),
        severity=alert.severity,
        summary=log.text(alert.summary),
        starts_at=float(alert.starts_at),
        source=log.text(alert.source),
        labels=log.json(alert.labels),
    )


def tell(log: Transaction, incident: int, inserted: Sequence[tuple[int, Alert]], how: str) -> None:
    """Count alerts that were inserted, and append one event about all of them.

    Args:
        log: the transaction.
        incident: which they belong to.
        inserted: their rows.
        how: what the first of them did to it: `opened`, `reopened` or `joined`.
    """
    log.execute("update incident set alerts = alerts + ? where id = ?", len(inserted), incident)
    worst = max((alert.severity for _, alert in inserted), key=lambda severity: severity.rank)
    _raise_severity(log, incident, worst)
    row, alert = inserted[0]
    _tell_of_alert(log, row, incident, replace(alert, severity=worst), how, [row for row, _ in inserted[1:]])


def _again(log: Transaction, known: sqlite3.Row, alert: Alert) -> int:
    """Count a report of an alert that fires already; only a higher severity is news."""
    log.execute("update alert set times = times + 1 where id = ?", known["id"])
    incident: int = known["incident"]
    if alert.severity.rank > Severity(known["severity"]).rank:
        log.execute("update alert set severity = ? where id = ?", alert.severity, known["id"])
        _raise_severity(log, incident, alert.severity)
        _tell_of_alert(log, known["id"], incident, alert, "severer")
    return incident


def incident_for(log: Transaction, alert: Alert, parent: str | None) -> tuple[int, str]:
    """The incident an alert belongs to, and whether it joined, reopened or opened it."""
    for service in (alert.service, parent):
        row = log.one(OPEN, log.text(service)) if service else None
        if row is not None:
            return row["id"], "joined"
    name, service = log.text(alert.name), log.text(alert.service)
    row = log.one(RECENTLY_RESOLVED, service, log.now - REOPEN_WITHIN, service, name)
    if row is not None:
        _reopen(log, row["id"], alert)
        return row["id"], "reopened"
    opened = log.insert(
        "incident",
        service=service,
        title=log.text(alert.summary or alert.name),
        severity=alert.severity,
        status=IncidentStatus.OPEN,
        opened_at=log.now,
        updated_at=log.now,
    )
    return opened, "opened"


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


def _raise_severity(log: Transaction, incident: int, severity: Severity) -> None:
    row = log.row("incident", incident)
    assert row is not None
    if severity.rank > Severity(row["severity"]).rank:
        log.execute("update incident set severity = ? where id = ?", severity, incident)


def _tell_of_alert(
    log: Transaction,
    row: int,
    incident: int,
    alert: Alert,
    how: str,
    others: Sequence[int] = (),
) -> None:
    data: Mapping[str, JSON] = {
        "alert": row,
        "name": alert.name,
        "severity": alert.severity,
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "starts_at": alert.starts_at,
        "incident": how,
    }
    if others:
        data = {**data, "others": list(others)}
    log.event(
        "alert",
        (alert.summary or alert.name) + (f" (and {len(others)} more alerts)" if others else ""),
        actor=Role.MONITOR,
        incident=incident,
        service=alert.service,
        data=data,
        vouches=[("alert", row), *(("alert", other) for other in others), ("incident", incident)],
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
