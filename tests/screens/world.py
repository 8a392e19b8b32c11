"""A small homelab in a real store, at a time that stands still."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cockpit.model import (
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
    Verdict,
    digest,
)
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
        self._redis_explained(incident)
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

    def _redis_explained(self, incident: int) -> None:
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
