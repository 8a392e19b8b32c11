"""What a model's word is worth: the limits that hold for a proposal which no runbook vouches for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from cockpit.model import JSON, Approval, Call, Plan, Refused
from cockpit.model.inquiries import QUOTES, Word
from cockpit.model.values import BEWARE
from cockpit.safety.policy import Ruling


def corroborate(plan: Plan, word: Word) -> None:
    """Raise Refused for what cannot be undone, unless two kinds of evidence speak for it that are not both hearsay."""
    final = [change for change in plan.changes if not change.reversible]
    if not final or len(set(word.kinds)) > 1:
        return
    only = f"only {word.kinds[0]}" if word.kinds else "nothing"
    if word.kinds and word.kinds[0] == QUOTES:
        only = "only what others wrote, such as a log,"
    raise Refused(
        f"It cannot be undone ({final[0].no_undo.rstrip('.')}), and {only} speaks for it.",
        "Two diagnostics have to show the cause, not both of them by lines that others wrote.",
    )


def marked(plan: Plan, call: Call, word: Word) -> Plan:
    """The plan with a warning at each change for every value in the call's arguments that no reading shows."""
    warnings = [f"'{value}' {word.hearsay[value]}" for value in texts(call.arguments) if value in word.hearsay]
    if not warnings:
        return plan
    beware: JSON = list(dict.fromkeys(warnings))
    return replace(
        plan,
        changes=tuple(replace(change, observed={**change.observed, BEWARE: beware}) for change in plan.changes),
    )


def on_its_word(ruling: Ruling, call: Call, word: Word, unasked: Collection[str]) -> Ruling:
    """The ruling for a call that a model proposes: a person decides.

    Only a tool that the operator named in `[models] unasked` is left to the rest of the policy, and only on a
    service of the incident.
    """
    if call.service not in word.near:
        why = f"{call.service} is not a service of this incident: neither depends on the other."
    elif call.tool not in unasked:
        why = f"Only the model {word.model} says so."
    else:
        return ruling
    approval = max(ruling.approval, Approval.HARD, key=lambda level: level.rank)
    return replace(
        ruling, approval=approval, why=why if ruling.approval.rank < approval.rank else f"{ruling.why} {why}"
    )


def texts(value: JSON) -> list[str]:
    """Every text and number in a value, as text."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [str(int(value)) if float(value).is_integer() else repr(value)]
    parts = value.values() if hasattr(value, "values") else value
    return [text for part in parts for text in texts(part)]
