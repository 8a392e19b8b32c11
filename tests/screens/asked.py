"""What models were asked in the small homelab: stories for its store, and the models that are configured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cockpit.model import JSON, Alert, Approval, Call, Finding, Health, IncidentStatus, Level, Severity, Tier
from cockpit.model.inquiries import CallOutcome, Estimate, Inquiry, InquiryState, ModelCall
from cockpit.settings.models import Model, ModelsSettings
from tests.screens.world import CALM, NOW, VACUUM_CALL, VACUUM_PLAN, World

ESTIMATE = Estimate("nano", 3412, 0.0004)
SLOW = "1 query takes 2.2 s on average: select … from orders where customer = $1."
SLOW_CAUSE = "The shop's query on orders reads the whole table, for 62 % of its rows are dead."
MODELS = ModelsSettings(
    models=(
        Model("nano", "openai/gpt-4.1-nano", timeout=20.0),
        Model("mini", "openai/gpt-4o-mini"),
        Model("attic", "ollama_chat/qwen3", Tier.LOCAL, base_url="http://127.0.0.1:11434"),
    )
)


def unexplained(world: World) -> int:
    """No runbook explains why the shop's answers are slow."""
    world.at(70)
    slow = Health(Level.DEGRADED, "p95 2.4 s, 3 of 140 requests failed", {"p95_seconds": 2.4}, 0.011)
    world.store.record_health("caddy/web", slow, world.clock.now)
    alert = Alert("caddy-slow", "caddy/web", "caddy-slow", Severity.WARNING, "Answers take 2.4 s.", NOW - 70)
    (incident,) = world.store.ingest_alerts([alert])
    world.store.advance(incident, IncidentStatus.INVESTIGATING, actor="healer", text="Looking for the cause.")
    look(world, incident, "check_caddy_upstreams", "caddy/web", "2 of 2 upstreams answer, the slower in 2.3 s.", {})
    text = "No runbook explains it (asked: caddy-upstream-down, caddy-certificate)."
    world.store.note("analyst", "diagnosis", text, incident=incident, service="caddy/web")
    return incident


def look(
    world: World, incident: int | None, tool: str, service: str, summary: str, arguments: Mapping[str, JSON]
) -> int:
    """A diagnostic that found this; its run's id."""
    call = Call(tool, service, arguments)
    return world.store.record_run(incident, call, Finding(summary, {}), "", world.clock.now, 0.02).id


def inquiry(world: World, incident: int | None, question: str = "", *, wait: bool = False) -> Inquiry:
    """What models are asked, with what it would cost."""
    by = "kim" if question else "analyst"
    service = "caddy/web" if incident else ""
    return world.store.inquiries.ask(incident, service, question, by, estimate=ESTIMATE, wait=wait)


def call(
    world: World, inquiry: int, model: str = "mini", outcome: CallOutcome = CallOutcome.ANSWERED, **more: Any
) -> None:
    """One call of a model."""
    answered = outcome is CallOutcome.ANSWERED
    tokens = (3412, 188, 0.0006) if answered else (0, 0, 0.0)
    sent = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "caddy/web answers slowly."}]}
    call = ModelCall(0, inquiry, model, Tier.FAST, world.clock.now, 2.1, *tokens, outcome, sent=sent, **more)
    world.store.inquiries.called(call)


def choose(world: World, inquiry: int, incident: int, tool: str, service: str, why: str, summary: str) -> int:
    """The model looks at something, for this reason, and finds this; the run's id."""
    world.store.inquiries.chose(inquiry, Call(tool, service, {}), why)
    return look(world, incident, tool, service, summary, {})


def asking(world: World) -> Inquiry:
    """A model may be asked, once a person says so."""
    incident = unexplained(world)
    world.at(60)
    asked = inquiry(world, incident, wait=True)
    text = "A person is needed: no runbook explains it. nano can be asked, for about $0.0004: that waits for a yes."
    world.store.advance(incident, IncidentStatus.ESCALATED, actor="communicator", text=text)
    world.clock.now = NOW
    return asked


def looked_into(world: World) -> tuple[Inquiry, list[int]]:
    """A model has looked at two things, after another one timed out."""
    incident = unexplained(world)
    world.at(60)
    asked = inquiry(world, incident)
    assert world.store.inquiries.begin(asked.id)
    world.at(40)
    call(world, asked.id, "nano", CallOutcome.TIMEOUT, error="nothing came within 20 s")
    world.at(37)
    call(world, asked.id)
    reasons = (
        ("check_slow_queries", "postgres/main", "Both upstreams read from it, and one of them is slow.", SLOW),
        ("check_postgres_locks", "postgres/main", "A lock would slow every query of the shop.", "No lock waits."),
    )
    runs = [choose(world, asked.id, incident, *each) for each in reasons]
    return asked, runs


def inquiring(world: World) -> None:
    """A model is looking into it, and says so."""
    asked, _ = looked_into(world)
    world.at(2)
    world.store.inquiries.progress(asked.id, "The lock view is empty, so the slow query is slow by itself: its plan")
    world.clock.now = NOW


def concluded(
    world: World, state: InquiryState, outcome: str, cause: str, confidence: float, rival: dict[str, JSON], **more: JSON
) -> tuple[Inquiry, list[int]]:
    """A model has concluded from the first of the two things that it looked at."""
    asked, runs = looked_into(world)
    world.at(9)
    call(world, asked.id)
    answer: dict[str, JSON] = {
        "cause": cause,
        "confidence": confidence,
        "model": "mini",
        "evidence": [{"run": runs[0], "field": "queries[0].mean_seconds", "value": "2.2", "against": "high"}],
        "rivals": [rival | ({"run": runs[1]} if rival["ruled_out"] else {})],
        **more,
    }
    return world.store.inquiries.finish(asked.id, state, outcome, answer), runs[:1]


def answered(world: World) -> Inquiry:
    """A model has found the cause."""
    rival: dict[str, JSON] = {"cause": "a lock holds the shop's queries", "ruled_out": True, "reading": "none waits"}
    ended, runs = concluded(world, InquiryState.ANSWERED, SLOW_CAUSE, SLOW_CAUSE, 0.85, rival)
    diagnosed(world, ended.incident, SLOW_CAUSE, 0.85, runs)
    world.clock.now = NOW
    return ended


def diagnosed(world: World, incident: int | None, cause: str, confidence: float, runs: list[int]) -> None:
    """The analyst has written a model's diagnosis into the timeline."""
    data: dict[str, JSON] = {"runbook": "model:mini", "confidence": confidence, "evidence": runs, "rivals": []}
    world.store.note("analyst", "diagnosis", cause, incident=incident, service="caddy/web", data=data)


def solved(world: World) -> None:
    """A model has found the cause, and its proposal waits."""
    asked = answered(world)
    world.at(8)
    assert asked.incident is not None
    world.propose(asked.incident, VACUUM_CALL, VACUUM_PLAN, Approval.HARD, SLOW_CAUSE, policy="postgres is critical")
    text, waits = "The healer proposes vacuum_postgres_table, on a model's word.", IncidentStatus.WAITING
    world.store.advance(asked.incident, waits, actor="healer", text=text, cause=SLOW_CAUSE, runbook="model:mini")
    world.clock.now = NOW


def inconclusive(world: World) -> None:
    """A model can only guess."""
    guess = "a plan that changed after the nightly import"
    rival: dict[str, JSON] = {
        "cause": "the disk is slow", "ruled_out": False, "reading": "nothing that was read says so",
    }  # fmt: skip
    more: dict[str, JSON] = {
        "guesses": [guess, "a disk that is slower than usual"],
        "next_look": "explain_query on the slowest query of postgres/main",
    }
    text = f"No reading shows the cause. The likeliest guess: {guess}"
    ended, runs = concluded(world, InquiryState.INCONCLUSIVE, text, guess, 0.4, rival, **more)
    diagnosed(world, ended.incident, f"A guess, with a rival not ruled out: {guess}", 0.4, runs)
    assert ended.incident is not None
    text, needs = f"A person is needed. A guess: {guess}", IncidentStatus.ESCALATED
    world.store.advance(ended.incident, needs, actor="communicator", text=text, cause=guess, runbook="model:mini")
    world.clock.now = NOW


def unanswered(world: World) -> None:
    """No model answered."""
    asked, _ = looked_into(world)
    text = "No model could be asked: nano timed out, mini answered 401, the local model is not reachable."
    call(world, asked.id, "mini", CallOutcome.DENIED, error="401: the key was refused")
    world.store.inquiries.finish(asked.id, InquiryState.FAILED, text)
    world.clock.now = NOW


def questions(world: World) -> None:
    """Two people asked, one about the incident and one about anything."""
    asked = answered(world)
    for incident, question, reply in (
        (asked.incident, "Does the import run tonight as well?", "It has no timer that cockpit can see."),
        (None, "Which services are close to a limit?", "redis/main uses 31 % of its memory.\nNo other is close."),
    ):
        found = inquiry(world, incident, question)
        assert world.store.inquiries.begin(found.id)
        call(world, found.id)
        world.store.inquiries.finish(
            found.id, InquiryState.ANSWERED, reply, {"text": reply, "runs": [], "model": "mini"}
        )
    world.clock.now = NOW


def answer_full_of(text: str) -> dict[str, JSON]:
    """An answer with this text wherever a model may write."""
    return {
        "text": text,
        "cause": text,
        "evidence": [{"run": 1, "field": text, "value": text}],
        "rivals": [{"cause": text, "ruled_out": False, "reading": text}],
        "guesses": [text],
        "next_look": text,
    }


ASKING = (*CALM, asking)
INQUIRING = (*CALM, inquiring)
ANSWERED = (*CALM, answered)
SOLVED = (*CALM, solved)
INCONCLUSIVE = (*CALM, inconclusive)
UNANSWERED = (*CALM, unanswered)
QUESTIONS = (*CALM, questions)
