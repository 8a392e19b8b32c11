"""A log with a clock that stands, and the things that are put into it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from cockpit.model import (
    Alert,
    Applied,
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
from cockpit.store.audit import Problem, verify
from cockpit.store.store import Store

START = 1_800_000_000.0


@dataclass
class Clock:
    """Tells the time it is set to."""

    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Log:
    """An open store with its clock."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        self.store = Store.open(self.path, clock=self.clock)

    @property
    def path(self) -> Path:
        return self.folder / "cockpit.db"

    def problems(self) -> list[Problem]:
        return verify(self.path, self.folder / "audit.key", [self.folder / "audit.head"])

    def opened(self, service: str = "redis/main", name: str = "redis-down") -> int:
        """An incident that an alert opened."""
        return self.store.ingest_alerts([alert(service, name)])[0]

    def proposed(self, incident: int | None = None, service: str = "redis/main", *, after: int = 2) -> Proposal:
        """A proposal that waits for five minutes."""
        call, plan = call_of(service, after), plan_of_one(service, after)
        return self.store.propose(
            incident,
            call,
            plan,
            digest(call, plan),
            Approval.HARD,
            self.clock.now + 300.0,
            reason="The memory is full.",
            at=self.clock.now,
        )

    def approved(self, incident: int | None = None, service: str = "redis/main", *, after: int = 2) -> Proposal:
        """A proposal that ann approved."""
        proposal = self.proposed(incident, service, after=after)
        self.approve(proposal)
        return proposal

    def approve(self, proposal: Proposal, by: str = "ann") -> None:
        self.store.decide(proposal.id, proposal.digest, Verdict.APPROVED, by=by, channel="keypress", at=self.clock.now)

    def claimed(self, proposal: Proposal) -> list[Applied]:
        """The changes of an approved proposal, taken to be carried out."""
        changes = self.store.claim(proposal.id, proposal.digest, self.clock.now)
        assert changes is not None
        return changes

    def carried_out(self, proposal: Proposal) -> None:
        """An approved proposal, all the way to its end."""
        for applied in self.claimed(proposal):
            self.store.applying(applied.id)
            self.store.verifying(applied.id)
            self.store.finish(applied.id, ChangeState.DONE, "It reads as wanted.", self.clock.now)
        self.store.settle(proposal.id, ProposalState.DONE, "Applied and verified.")

    def asked(self, incident: int | None = None, service: str = "redis/main", *, model: str = "mini") -> Inquiry:
        """A question that a model was asked, and answered."""
        inquiries = self.store.inquiries
        inquiry = inquiries.ask(incident, service, "", "analyst", estimate=Estimate(model, 900, 0.0002), wait=False)
        assert inquiries.begin(inquiry.id)
        call = ModelCall(
            0, inquiry.id, model, Tier.FAST, self.clock.now, 1.5, 900, 120, 0.0002, CallOutcome.ANSWERED,
            sent={"messages": ["why?"]}, reply={"text": "memory"},
        )  # fmt: skip
        inquiries.called(call)
        return inquiries.finish(inquiry.id, InquiryState.ANSWERED, "The memory is full.", {"cause": "memory is full"})

    def lived_through(self, service: str, *, after: int = 2) -> int:
        """One incident from its alert to its end."""
        incident = self.opened(service)
        looked = Finding("Memory is full.", {"used_bytes": 1e9, "clients": [{"name": "app", "bytes": 512}]})
        self.store.record_run(incident, Call("check_redis_memory", service), looked, "", self.clock.now, 0.2)
        self.asked(incident, service)
        self.store.advance(incident, IncidentStatus.WAITING, actor="healer", text="A change is proposed.")
        self.carried_out(self.approved(incident, service, after=after))
        self.store.clear_alerts([f"{service}:redis-down"], self.clock.now)
        self.store.advance(incident, IncidentStatus.RESOLVED, actor="monitor", text="Writes succeed again.")
        return incident


def alert(
    service: str = "redis/main",
    name: str = "redis-down",
    severity: Severity = Severity.WARNING,
    summary: str = "Redis does not answer.",
) -> Alert:
    return Alert(f"{service}:{name}", service, name, severity, summary, START - 5.0)


def call_of(service: str = "redis/main", after: int = 2) -> Call:
    return Call("set_redis_maxmemory", service, {"megabytes": after})


def plan_of_one(service: str = "redis/main", after: int = 2) -> Plan:
    change = Change(
        service=service,
        item="maxmemory",
        key="maxmemory",
        before=1,
        after=after,
        steps=(f"CONFIG SET maxmemory {after}mb",),
        verification="CONFIG GET maxmemory",
        undo="CONFIG SET maxmemory 1mb",
        observed={"used_bytes": 1e6},
    )
    return Plan("Raise the limit.", (change,), "None.")


def health(level: Level = Level.UP, **samples: float) -> Health:
    return Health(level, f"It is {level}.", samples, 0.02)


def services(*names: str) -> list[Service]:
    return [Service(name, options={"password": "hunter2"}) for name in names]


@dataclass(frozen=True)
class Kept:
    """A log that was closed, with its key and its anchor."""

    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "cockpit.db"

    @property
    def key(self) -> Path:
        return self.folder / "audit.key"

    @property
    def anchor(self) -> Path:
        return self.folder / "audit.head"

    def problems(self) -> list[Problem]:
        return verify(self.path, self.key, [self.anchor])

    def copy(self, folder: Path) -> Kept:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return Kept(folder)


def live(folder: Path, incidents: int = 6, late: float = 0.0) -> Kept:
    log = Log(folder)
    log.clock.now += late
    for number in range(incidents):
        log.clock.now += 1000.0
        log.lived_through(f"redis/{number}", after=number + 2)
    log.store.close()
    return Kept(folder)
