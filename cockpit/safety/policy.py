"""How much approval a call needs, and which limits nobody can talk their way round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, time

from cockpit.model import Approval, Call, Plan, Service
from cockpit.settings import PolicySettings
from cockpit.text import counted
from cockpit.toolkit import Tool

SAME_CALL_WITHIN = 3600.0
"""Seconds within which the same call on the same target needs a person the second time."""


@dataclass(frozen=True)
class Record:
    """What was done lately, as far as the limits look at it."""

    changes_last_hour: int = 0
    """Changes applied to any target in the last hour."""
    failures_on_target: int = 0
    """Changes that failed on this target within the pause."""
    same_call_lately: bool = False
    """Whether the same call was carried out on the same target within the hour."""
    frozen_by: str | None = None
    muted: str = ""
    """Why nobody is told of the target now; empty when people are."""


@dataclass(frozen=True)
class Ruling:
    """How much approval a call needs, and why."""

    approval: Approval
    why: str
    needs_name: bool = False
    """Whether the target's name has to be typed to approve it."""


def judge(settings: PolicySettings, tool: Tool, service: Service, plan: Plan, record: Record, now: datetime) -> Ruling:
    """The strictest of all that applies to this plan.

    Args:
        settings: the operator's levels and limits.
        tool: the remediation; its own level is where the judgement starts.
        service: the target.
        plan: what it would change; a plan may ask for more than its tool does.
        record: what was done lately.
        now: the local time, for quiet hours.
    """
    rulings = [_by_tool(settings, tool)]
    if plan.approval is not None:
        rulings.append((plan.approval, "This use of the tool asks for it."))
    if service.critical:
        rulings.append((Approval.HARD, f"{service.name} is critical."))
    if record.failures_on_target >= settings.failures_before_pause:
        rulings.append(
            (Approval.HARD, f"{counted(record.failures_on_target, 'change')} failed on {service.name} lately.")
        )
    if record.changes_last_hour >= settings.changes_per_hour:
        rulings.append((Approval.HARD, f"{_made(record)} in the last hour."))
    if record.same_call_lately:
        rulings.append((Approval.HARD, "The same was done on this target within the hour."))
    if quiet(settings.quiet_hours, now.time()):
        rulings.append((Approval.HARD, "These are quiet hours."))
    if record.frozen_by:
        rulings.append((Approval.HARD, f"Changes are frozen by {record.frozen_by}."))
    if record.muted:
        rulings.append((Approval.HARD, record.muted))
    if settings.dry_run:
        rulings.append((Approval.HARD, "This is a dry run."))
    approval, why = max(rulings, key=lambda ruling: ruling[0].rank)
    irreversible = any(not change.reversible for change in plan.changes)
    return Ruling(approval, why, needs_name=service.critical and irreversible)


def obstacle(settings: PolicySettings, tool: Tool, record: Record, *, undo: bool) -> str | None:
    """Why a change may not be applied now, whoever approved it; None when it may.

    An undo is not held up by the number of changes an hour: the way back stays open.
    """
    if settings.dry_run:
        return "This is a dry run: nothing is ever applied."
    if record.frozen_by:
        return f"Changes are frozen by {record.frozen_by}."
    if _by_tool(settings, tool)[0] is Approval.FORBIDDEN:
        return f"{tool.name} is forbidden by the policy."
    if record.changes_last_hour >= settings.changes_per_hour and not undo:
        return f"{_made(record)} in the last hour; the limit is {settings.changes_per_hour}."
    return None


def _made(record: Record) -> str:
    return counted(record.changes_last_hour, "change was made", "changes were made")


def quiet(hours: tuple[str, str] | None, now: time) -> bool:
    """Whether a local time lies in the quiet hours, which may span midnight."""
    if hours is None:
        return False
    start, end = (time.fromisoformat(hour) for hour in hours)
    return start <= now < end if start <= end else now >= start or now < end


def same_call(left: Call, right: Call) -> bool:
    """Whether two calls are the same tool with the same arguments on the same target."""
    return (left.tool, left.service, _plain(left.arguments)) == (right.tool, right.service, _plain(right.arguments))


def _plain(arguments: Mapping[str, object]) -> dict[str, object]:
    return dict(sorted(arguments.items()))


def _by_tool(settings: PolicySettings, tool: Tool) -> tuple[Approval, str]:
    level = settings.levels.get(tool.name)
    if level is not None:
        return level, f"The config sets {tool.name} to {level}."
    return tool.approval, f"{tool.name} is {tool.approval} by default."
