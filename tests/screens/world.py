"""A small homelab in a real store, at a time that stands still."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cockpit.model import (
    JSON,
    Alert,
    Approval,
    Call,
    Change,
    ChangeState,
    Finding,
    Health,
    IncidentStatus,
    Level,
    Plan,
    Proposal,
    ProposalState,
    Service,
    Severity,
    Tier,
    Verdict,
    digest,
)
from cockpit.model.inquiries import CallOutcome, Estimate, Inquiry, InquiryState, ModelCall
from cockpit.settings.models import Model, ModelsSettings
from cockpit.store.store import Store

NOW = 1_795_183_402.0
"""2026-11-20 14:03:22 UTC."""

SERVICES = (
    Service("postgres/main", critical=True, note="Payroll runs on the 28th.", tags=("data",)),
    Service("redis/main", tags=("cache",)),
    Service("nats/main"),
    Service("caddy/web", depends_on=("redis/main", "postgres/main")),
    Service("host/local", interval=30.0),
)

REDIS_CALL = Call("set_redis_maxmemory", "redis/main", {"megabytes": 128})
REDIS_PLAN = Plan(
    "Let redis/main use 128 MB instead of 64 MB",
    (
        Change(
            service="redis/main",
            item="redis-setting",
            key="maxmemory",
            before="67108864",
            after="134217728",
            steps=("redis-cli -p 6379 CONFIG SET maxmemory 134217728", "redis-cli -p 6379 CONFIG REWRITE"),
            verification="CONFIG GET maxmemory reads 134217728.",
            undo="redis-cli -p 6379 CONFIG SET maxmemory 67108864; redis-cli -p 6379 CONFIG REWRITE",
            why="Writes are refused.",
            observed={"used_bytes": 67107232, "host_free_bytes": 3221225472},
        ),
    ),
    "Nothing restarts. The host has 3.2 GB free, and Redis may use 64 MB more of it.",
)
REDIS_CAUSE = "Redis holds 67107232 of 67108864 bytes under noeviction, so writes fail with OOM."
VACUUM_CALL = Call("vacuum_postgres_table", "postgres/main", {"database": "shop", "table": "orders"})
VACUUM_PLAN = Plan(
    "Vacuum shop.public.orders",
    (
        Change(
            service="postgres/main",
            item="vacuum",
            key={"database": "shop", "table": "public.orders"},
            before={"oid": 16402},
            after="dead rows removed, space reusable",
            steps=("psql -d shop -c 'VACUUM (ANALYZE) public.orders'",),
            verification="pg_stat_all_tables.last_vacuum is later than the start.",
            no_undo="A vacuum removes only what no transaction can see any more.",
            why="62 % of its rows are dead.",
        ),
    ),
    "Reads and writes go on; the disk is busier for about a minute.",
)


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


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A store with a story in it."""

    store: Store
    clock: Clock = field(default_factory=Clock)

    def at(self, ago: float) -> float:
        """A moment so many seconds before now; events that follow bear it."""
        self.clock.now = NOW - ago
        return self.clock.now

    def watch(self) -> None:
        """The services, and an hour of probes."""
        self.at(3600)
        self.store.watch(SERVICES)
        for minute in range(60, -1, -1):
            at = self.at(minute * 60 + 2)
            for number, service in enumerate(SERVICES):
                self.store.record_health(service.name, self.health(number, minute), at)

    def health(self, number: int, minute: int) -> Health:
        """What a probe saw then: calm, with a rhythm of its own."""
        wave = math.sin(minute / 6 + number)
        summaries = (
            "12 of 100 connections",
            "31 % of 64 MB used",
            "2 consumers, 0 pending",
            "140 requests a minute",
            "41 % of disk used",
        )
        samples = {"connections": 12.0 + round(4 * wave), "used_ratio": round(0.3 + 0.1 * wave, 3), "restarts": 0.0}
        return Health(Level.UP, summaries[number], samples, 0.002 + 0.0004 * wave + 0.001 * number)

    def resolved(self) -> None:
        """An incident of yesterday that a soft change has mended."""
        self.at(90_000)
        alert = Alert(
            "pg-bloat",
            "postgres/main",
            "postgres-bloat",
            Severity.WARNING,
            "62 % of orders is dead rows.",
            self.clock.now,
        )
        (incident,) = self.store.ingest_alerts([alert])
        self.store.advance(incident, IncidentStatus.INVESTIGATING, actor="analyst", text="Looks into it.")
        call = Call("check_table_bloat", "postgres/main", {"database": "shop"})
        found = Finding("62 % of shop.public.orders is dead.", {"dead_ratio": 0.62})
        self.store.record_run(incident, call, found, "", self.clock.now, 0.031)
        proposal = self.propose(
            incident, VACUUM_CALL, VACUUM_PLAN, Approval.SOFT, "Autovacuum is off for orders, so 62 % is dead."
        )
        self.approve(proposal, by="policy", channel="policy", reason="soft: do and tell")
        self.carry_out(proposal, "last_vacuum is later than the start.")
        self.store.clear_alerts(["pg-bloat"], self.clock.now)
        self.store.advance(incident, IncidentStatus.RESOLVED, actor="communicator", text="Resolved after 41 s.")

    def waiting(self) -> Proposal:
        """Redis is full, the cause is known, and a proposal waits."""
        self.at(46)
        full = Health(Level.DEGRADED, "100 % of 64 MB used, writes are refused", {"used_ratio": 1.0}, 0.0031)
        self.store.record_health("redis/main", full, self.clock.now)
        alert = Alert(
            "redis-full",
            "redis/main",
            "redis-memory-full",
            Severity.CRITICAL,
            "Redis is full and refuses writes.",
            NOW - 46,
        )
        (incident,) = self.store.ingest_alerts([alert])
        self.at(45)
        self.store.advance(incident, IncidentStatus.INVESTIGATING, actor="analyst", text="Looks into it.")
        memory = Finding("67107232 of 67108864 bytes used, policy noeviction.", {"used_bytes": 67107232})
        clients = Finding("4 clients, buffers hold 82 kB.", {"buffer_bytes": 82000})
        runs = [
            self.store.record_run(incident, Call(tool, "redis/main", {}), finding, "", self.clock.now, 0.004).id
            for tool, finding in (("check_redis_memory", memory), ("check_redis_clients", clients))
        ]
        self.at(44)
        rivals = [{"cause": "client buffers eat the memory", "ruled_out": True, "reading": "client buffers hold 82 kB"}]
        data = {
            "runbook": "redis-maxmemory-noeviction",
            "confidence": 0.9,
            "evidence": runs,
            "advice": "",
            "rivals": rivals,
        }
        self.store.note("analyst", "diagnosis", REDIS_CAUSE, incident=incident, service="redis/main", data=data)
        proposal = self.propose(
            incident, REDIS_CALL, REDIS_PLAN, Approval.HARD, REDIS_CAUSE, policy="changes of settings wait for a person"
        )
        text = "Waits for a decision."
        self.store.advance(
            incident,
            IncidentStatus.WAITING,
            actor="healer",
            text=text,
            cause=REDIS_CAUSE,
            runbook="redis-maxmemory-noeviction",
        )
        self.clock.now = NOW
        return proposal

    def propose(
        self,
        incident: int | None,
        call: Call,
        plan: Plan,
        approval: Approval,
        reason: str,
        *,
        policy: str = "",
        needs_name: bool = False,
    ) -> Proposal:
        """A proposal that waits for five minutes."""
        now = self.clock.now
        return self.store.propose(
            incident,
            call,
            plan,
            digest(call, plan),
            approval,
            now + 300,
            reason=reason,
            policy=policy,
            needs_name=needs_name,
            at=now,
        )

    def approve(self, proposal: Proposal, *, by: str = "kim", channel: str = "keypress", reason: str = "") -> None:
        """Approve it."""
        now = self.clock.now
        self.store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by=by, channel=channel, at=now, reason=reason)

    def carry_out(self, proposal: Proposal, outcome: str) -> None:
        """Apply and verify it, in two seconds."""
        for applied in self.store.claim(proposal.id, proposal.digest, self.clock.now) or ():
            self.store.applying(applied.id)
            self.store.verifying(applied.id)
            self.clock.now += 2
            self.store.finish(applied.id, ChangeState.DONE, outcome, self.clock.now)
        self.store.settle(proposal.id, ProposalState.DONE, outcome)

    def done(self) -> None:
        """The proposal for Redis was approved and carried out, and the incident is being watched."""
        proposal = self.waiting()
        self.at(20)
        self.approve(proposal)
        self.store.advance(proposal.incident or 0, IncidentStatus.CHANGING, actor="healer", text="Applies it.")
        self.carry_out(proposal, "CONFIG GET maxmemory reads 134217728.")
        text = "Verified; waits for the condition to clear."
        self.store.advance(proposal.incident or 0, IncidentStatus.WATCHING, actor="healer", text=text)
        self.clock.now = NOW

    def failed(self) -> None:
        """No runbook explains why NATS is down: a person is needed."""
        self.at(120)
        self.store.record_health("nats/main", Health(Level.DOWN, "nats/main did not answer within 5 s."), NOW - 2)
        alert = Alert("nats-down", "nats/main", "nats-down", Severity.CRITICAL, "NATS does not answer.", NOW - 120)
        (incident,) = self.store.ingest_alerts([alert])
        call = Call("check_nats_process", "nats/main", {})
        self.store.record_run(
            incident, call, None, "nats/main did not answer within 5 s. Check that it is running.", self.clock.now, 5.0
        )
        self.store.note(
            "analyst",
            "diagnosis",
            "No runbook explains it (asked: nats-stopped).",
            incident=incident,
            service="nats/main",
        )
        self.store.advance(
            incident,
            IncidentStatus.ESCALATED,
            actor="communicator",
            text="Runbooks are at their end: a person is needed.",
        )
        self.clock.now = NOW

    def frozen(self) -> None:
        """Kim has frozen all changes."""
        self.waiting()
        self.store.freeze("kim")

    def unexplained(self) -> int:
        """No runbook explains why the shop's answers are slow."""
        self.at(70)
        slow = Health(Level.DEGRADED, "p95 2.4 s, 3 of 140 requests failed", {"p95_seconds": 2.4}, 0.011)
        self.store.record_health("caddy/web", slow, self.clock.now)
        alert = Alert("caddy-slow", "caddy/web", "caddy-slow", Severity.WARNING, "Answers take 2.4 s.", NOW - 70)
        (incident,) = self.store.ingest_alerts([alert])
        self.store.advance(incident, IncidentStatus.INVESTIGATING, actor="healer", text="Looking for the cause.")
        self.look(incident, "check_caddy_upstreams", "caddy/web", "2 of 2 upstreams answer, the slower in 2.3 s.", {})
        text = "No runbook explains it (asked: caddy-upstream-down, caddy-certificate)."
        self.store.note("analyst", "diagnosis", text, incident=incident, service="caddy/web")
        return incident

    def look(self, incident: int | None, tool: str, service: str, summary: str, arguments: Mapping[str, JSON]) -> int:
        """A diagnostic that found this; its run's id."""
        call = Call(tool, service, arguments)
        return self.store.record_run(incident, call, Finding(summary, {}), "", self.clock.now, 0.02).id

    def inquiry(self, incident: int | None, question: str = "", *, wait: bool = False) -> Inquiry:
        """What models are asked, with what it would cost."""
        by = "kim" if question else "analyst"
        service = "caddy/web" if incident else ""
        return self.store.inquiries.ask(incident, service, question, by, estimate=ESTIMATE, wait=wait)

    def call(self, inquiry: int, model: str = "mini", outcome: CallOutcome = CallOutcome.ANSWERED, **more: Any) -> None:
        """One call of a model."""
        answered = outcome is CallOutcome.ANSWERED
        tokens = (3412, 188, 0.0006) if answered else (0, 0, 0.0)
        sent = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "caddy/web answers slowly."}]}
        call = ModelCall(0, inquiry, model, Tier.FAST, self.clock.now, 2.1, *tokens, outcome, sent=sent, **more)
        self.store.inquiries.called(call)

    def choose(self, inquiry: int, incident: int, tool: str, service: str, why: str, summary: str) -> int:
        """The model looks at something, for this reason, and finds this; the run's id."""
        self.store.inquiries.chose(inquiry, Call(tool, service, {}), why)
        return self.look(incident, tool, service, summary, {})

    def asking(self) -> Inquiry:
        """A model may be asked, once a person says so."""
        incident = self.unexplained()
        self.at(60)
        asked = self.inquiry(incident, wait=True)
        self.clock.now = NOW
        return asked

    def looked_into(self) -> tuple[Inquiry, list[int]]:
        """A model has looked at two things, after another one timed out."""
        incident = self.unexplained()
        self.at(60)
        asked = self.inquiry(incident)
        assert self.store.inquiries.begin(asked.id)
        self.at(40)
        self.call(asked.id, "nano", CallOutcome.TIMEOUT, error="nothing came within 20 s")
        self.at(37)
        self.call(asked.id)
        reasons = (
            ("check_slow_queries", "postgres/main", "Both upstreams read from it, and one of them is slow.", SLOW),
            ("check_postgres_locks", "postgres/main", "A lock would slow every query of the shop.", "No lock waits."),
        )
        runs = [self.choose(asked.id, incident, *each) for each in reasons]
        return asked, runs

    def inquiring(self) -> None:
        """A model is looking into it, and says so."""
        asked, _ = self.looked_into()
        self.at(2)
        self.store.inquiries.progress(asked.id, "The lock view is empty, so the slow query is slow by itself: its plan")
        self.clock.now = NOW

    def answered(self) -> Inquiry:
        """A model has found the cause."""
        asked, runs = self.looked_into()
        self.at(9)
        self.call(asked.id)
        answer: dict[str, JSON] = {
            "cause": SLOW_CAUSE,
            "confidence": 0.85,
            "evidence": runs,
            "rivals": [
                {"cause": "a lock holds the shop's queries", "ruled_out": True, "reading": f"run {runs[1]}: none waits"}
            ],
        }
        ended = self.store.inquiries.finish(asked.id, InquiryState.ANSWERED, SLOW_CAUSE, answer)
        self.clock.now = NOW
        return ended

    def solved(self) -> None:
        """A model has found the cause, and its proposal waits."""
        asked = self.answered()
        self.at(8)
        assert asked.incident is not None
        self.propose(asked.incident, VACUUM_CALL, VACUUM_PLAN, Approval.HARD, SLOW_CAUSE, policy="postgres is critical")
        waits = IncidentStatus.WAITING
        self.store.advance(asked.incident, waits, actor="healer", text="Waits for a decision.", cause=SLOW_CAUSE)
        self.clock.now = NOW

    def inconclusive(self) -> None:
        """A model can only guess."""
        asked, runs = self.looked_into()
        self.at(9)
        self.call(asked.id)
        answer: dict[str, JSON] = {
            "confidence": 0.4,
            "evidence": runs[:1],
            "rivals": [{"cause": "the disk is slow", "ruled_out": False, "reading": "nothing that was read says so"}],
            "guesses": ["a plan that changed after the nightly import", "a disk that is slower than usual"],
            "next_look": "explain_query on the slowest query of postgres/main",
        }
        text = "The evidence is not enough for a cause."
        self.store.inquiries.finish(asked.id, InquiryState.INCONCLUSIVE, text, answer)
        assert asked.incident is not None
        text = "A person is needed. A guess: a plan that changed after the nightly import"
        self.store.advance(asked.incident, IncidentStatus.ESCALATED, actor="communicator", text=text)
        self.clock.now = NOW

    def unanswered(self) -> None:
        """No model answered."""
        asked, _ = self.looked_into()
        text = "No model could be asked: nano timed out, mini answered 401, the local model is not reachable."
        self.call(asked.id, "mini", CallOutcome.DENIED, error="401: the key was refused")
        self.store.inquiries.finish(asked.id, InquiryState.FAILED, text)
        self.clock.now = NOW

    def questions(self) -> None:
        """Two people asked, one about the incident and one about anything."""
        asked = self.answered()
        for incident, question, reply in (
            (asked.incident, "Does the import run tonight as well?", "It has no timer that cockpit can see."),
            (None, "Which services are close to a limit?", "redis/main uses 31 % of its memory.\nNo other is close."),
        ):
            found = self.inquiry(incident, question)
            assert self.store.inquiries.begin(found.id)
            self.call(found.id)
            self.store.inquiries.finish(found.id, InquiryState.ANSWERED, reply, {"answer": reply, "evidence": []})
        self.clock.now = NOW


def build(path: Path, *tell: Callable[[World], object]) -> World:
    """A world in which these things have happened, in that order; it is NOW."""
    clock = Clock()
    world = World(Store.open(path / "cockpit.db", clock=clock), clock)
    for happens in tell:
        happens(world)
    clock.now = NOW
    return world


EMPTY = ()
CALM = (World.watch, World.resolved)
WAITING = (*CALM, World.waiting)
DONE = (*CALM, World.done)
FAILED = (*CALM, World.failed)
FROZEN = (*CALM, World.frozen)
ASKING = (*CALM, World.asking)
INQUIRING = (*CALM, World.inquiring)
ANSWERED = (*CALM, World.answered)
SOLVED = (*CALM, World.solved)
INCONCLUSIVE = (*CALM, World.inconclusive)
UNANSWERED = (*CALM, World.unanswered)
QUESTIONS = (*CALM, World.questions)
