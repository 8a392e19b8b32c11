"""Takes in what others report of alerts, many reports in one transaction and in their order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

from cockpit.model import Alert, Severity
from cockpit.store.incidents import Case, alert_row, case_for, clear, ingest, last_alert, tell, texts_of
from cockpit.store.transaction import Transaction, plain

FIRING_OF = """
select id, fingerprint, severity from alert
where resolved_at is null and fingerprint in (select value from json_each(?))
"""
OPEN_OF = """
select * from incident where status <> 'resolved' and service in (select value from json_each(?))
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


@dataclass(slots=True)
class _Known:
    """An alert that fires already, as far as a report of it needs to look."""

    row: int
    severity: Severity
    again: int = 0


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
        log.expect(report.fingerprint for report in reports)
        self._texts = {report.fingerprint: log.text(report.fingerprint) for report in reports}
        asked = json.dumps(list(self._texts.values()))
        self._known = {
            row["fingerprint"]: _Known(row["id"], Severity(row["severity"])) for row in log.all(FIRING_OF, asked)
        }
        new = [each for each in reports if isinstance(each, Alert) and self._texts[each.fingerprint] not in self._known]
        log.expect(text for alert in new for text in texts_of(alert))
        self._cases = self._open({log.text(alert.service) for alert in new})
        self._last = last_alert(log)

    def _open(self, services: Set[str]) -> dict[str, Case]:
        found = self._log.all(OPEN_OF, json.dumps([*services])) if services else []
        return {row["service"]: Case(plain(row), "joined", []) for row in found}

    def fire(self, alert: Alert) -> None:
        fingerprint = self._texts[alert.fingerprint]
        known = self._known.get(fingerprint)
        if known is None:
            self._known[fingerprint] = _Known(self._add(alert), alert.severity)
        elif alert.severity is known.severity or alert.severity.rank < known.severity.rank:
            known.again += 1
        else:
            self._tell()
            ingest(self._log, [alert], {})
            known.severity = alert.severity

    def clear(self, cleared: Cleared) -> None:
        known = self._known.pop(self._texts[cleared.fingerprint], None)
        if known is not None:
            self._tell()
            self._count([known])
            clear(self._log, [cleared.fingerprint], cleared.at)

    def close(self) -> None:
        self._tell()
        self._count(self._known.values())

    def _add(self, alert: Alert) -> int:
        service = self._log.text(alert.service)
        case = self._cases.get(service)
        if case is None:
            case = self._cases[service] = case_for(self._log, alert, None)
        self._last += 1
        case.alerts.append(alert_row(self._log, self._last, case.incident["id"], alert))
        return self._last

    def _tell(self) -> None:
        """Write what was added; the next alert looks its incident up again, which may be severer by then."""
        untold = [case for case in self._cases.values() if case.alerts]
        if untold:
            tell(self._log, untold)
        self._cases = {}

    def _count(self, known: Iterable[_Known]) -> None:
        again = {each.row: each.again for each in known if each.again}
        if again:
            self._log.execute(COUNT, json.dumps(again))
