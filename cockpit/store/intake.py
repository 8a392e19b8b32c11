"""Takes in what others report of alerts, many reports in one transaction and in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cockpit.model import Alert, Severity
from cockpit.store.incidents import clear, incident_for, ingest, insert, tell
from cockpit.store.transaction import Transaction

FIRING_OF = """
select id, fingerprint, severity from alert
where resolved_at is null and fingerprint in (select value from json_each(?))
"""
COUNT = """
update alert set times = times + again.value from json_each(?) as again where alert.id = cast(again.key as integer)
"""


@dataclass(frozen=True, slots=True)
class Cleared:
    """Somebody says that an alert is over."""

    fingerprint: str
    at: float
    """Since when, in seconds since the epoch."""


Report: TypeAlias = Alert | Cleared


MOST_TOLD = 200
"""Alerts that one event tells of at the most."""


@dataclass(slots=True)
class _Known:
    """An alert that fires already, as far as a report of it needs to look."""

    row: int
    severity: Severity
    again: int = 0


@dataclass(slots=True)
class _Case:
    """An incident that alerts of this batch belong to."""

    incident: int
    how: str
    untold: list[tuple[int, Alert]]


def take_in(log: Transaction, reports: Sequence[Report]) -> None:
    """Fold reports into incidents; one of an alert that fires already is counted, and costs no row and no event."""
    batch = _Batch(log, reports)
    for report in reports:
        if isinstance(report, Cleared):
            batch.clear(report)
        else:
            batch.fire(report)
    batch.close()


class _Batch:
    """What is known and not yet written while one batch goes through; others write nothing meanwhile."""

    def __init__(self, log: Transaction, reports: Sequence[Report]) -> None:
        self._log = log
        self._texts = {report.fingerprint: log.text(report.fingerprint) for report in reports}
        asked = json.dumps(list(self._texts.values()))
        self._known = {
            row["fingerprint"]: _Known(row["id"], Severity(row["severity"])) for row in log.all(FIRING_OF, asked)
        }
        self._cases: dict[str, _Case] = {}

    def fire(self, alert: Alert) -> None:
        fingerprint = self._texts[alert.fingerprint]
        known = self._known.get(fingerprint)
        if known is None:
            self._known[fingerprint] = _Known(self._add(alert), alert.severity)
        elif alert.severity is known.severity or alert.severity.rank < known.severity.rank:
            known.again += 1
        else:
            self._tell_all()
            ingest(self._log, [alert], {})
            known.severity = alert.severity

    def clear(self, cleared: Cleared) -> None:
        known = self._known.pop(self._texts[cleared.fingerprint], None)
        if known is not None:
            self._tell_all()
            self._count([known])
            clear(self._log, [cleared.fingerprint], cleared.at)

    def close(self) -> None:
        self._tell_all()
        self._count(self._known.values())

    def _add(self, alert: Alert) -> int:
        case = self._cases.get(alert.service)
        if case is None:
            case = self._cases[alert.service] = _Case(*incident_for(self._log, alert, None), [])
        row = insert(self._log, case.incident, alert)
        case.untold.append((row, alert))
        if len(case.untold) >= MOST_TOLD:
            self._tell(case)
        return row

    def _tell_all(self) -> None:
        for case in self._cases.values():
            self._tell(case)

    def _tell(self, case: _Case) -> None:
        if case.untold:
            tell(self._log, case.incident, case.untold, case.how)
            case.untold, case.how = [], "joined"

    def _count(self, known: Iterable[_Known]) -> None:
        again = {each.row: each.again for each in known if each.again}
        if again:
            self._log.execute(COUNT, json.dumps(again))
