"""How the app answers what panes ask for: each message becomes an intent, and what came of it is told."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import App

from cockpit.model import CockpitError, Proposal
from cockpit.screens import intents
from cockpit.screens.desk import Desk
from cockpit.screens.view import View
from widgets.proposal import ProposalPane

if TYPE_CHECKING:
    from widgets.changes import Changes


class Answers(App[str]):
    """An app that carries the operator's intents to the engine."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    @property
    def view(self) -> View | None:
        """The view at the bottom of the screens, under any dialog; None once they are gone, as while the app ends."""
        base = next(iter(self.screen_stack), None)
        return base if isinstance(base, View) else None

    def catch_up(self) -> None:
        """Read and show what has changed."""
        if self.view and self.view.is_mounted:
            self.view.look()

    def do(self, intent: Awaitable[str]) -> None:
        """Carry out an intent, and say what came of it."""

        async def carry_out() -> None:
            try:
                if told := await intent:
                    self.tell(told, "information")
            except CockpitError as error:
                self.tell(str(error), "error")
            self.catch_up()

        self.run_worker(carry_out(), group="intents", exit_on_error=False)

    def tell(self, text: str, severity: str) -> None:
        """Say a sentence to the operator, literally."""
        self.notify(text, severity="error" if severity == "error" else "information", markup=False, timeout=6)

    @on(ProposalPane.Approved)
    def _approved(self, message: ProposalPane.Approved) -> None:
        proposal = message.proposal
        if not proposal.needs_name:
            self.do(intents.approve(self.desk, proposal))
            return
        from cockpit.screens.dialogs import Ask

        question = f"{proposal.plan.summary}. It cannot be undone. Type {proposal.call.service} to approve it."
        self.push_screen(Ask("Approve for good", question, "the name of the service"), partial(self._named, proposal))

    def _named(self, proposal: Proposal, name: str | None) -> None:
        if name is not None:
            self.do(intents.approve(self.desk, proposal, name))

    @on(ProposalPane.Denied)
    def _denied(self, message: ProposalPane.Denied) -> None:
        from cockpit.screens.dialogs import Ask

        proposal = message.proposal

        def answered(reason: str | None) -> None:
            if reason is not None:
                self.do(intents.deny(self.desk, proposal, reason))

        self.push_screen(
            Ask(f"Deny #{proposal.id}", "Why? It is kept in the log; enter alone is enough.", "reason"), answered
        )

    def on_changes_undo_asked(self, message: Changes.UndoAsked) -> None:
        """Propose to put a change back; found by its name, for the pane is loaded with its own view."""
        self.do(intents.undo(self.desk, message.proposal.id))

    @on(ProposalPane.DryRunAsked)
    def _dry_run_asked(self, message: ProposalPane.DryRunAsked) -> None:
        self.do(self._compare(message.proposal))

    async def _compare(self, proposal: Proposal) -> str:
        from cockpit.screens.dialogs import Reading

        plan = await self.desk.acting().dry_run(proposal.call)
        await self.push_screen(Reading(f"Dry run of #{proposal.id}", partial(intents.compared, proposal, plan)))
        return ""

    @on(ProposalPane.Allowed)
    def _allowed(self, message: ProposalPane.Allowed) -> None:
        self.do(intents.allow(self.desk, message.inquiry.id))

    @on(ProposalPane.Declined)
    def _declined(self, message: ProposalPane.Declined) -> None:
        self.do(intents.decline(self.desk, message.inquiry.id))

    def action_ask(self) -> None:
        """Ask a model about what is chosen."""
        if self.view and len(self.screen_stack) == 1:
            self.ask(self.view.subject())

    def ask(self, subject: int | str | None = None) -> None:
        """Ask a model about an incident, a service or anything."""
        from cockpit.screens.dialogs import Ask

        about = f"incident #{subject}" if isinstance(subject, int) else subject or "anything that is watched"
        text = f"About {about}. A model may look with diagnostics; it changes nothing."

        def answered(question: str | None) -> None:
            if question:
                self.do(self._follow(question, subject))

        self.push_screen(Ask("Ask a model", text, "question"), answered)

    async def _follow(self, question: str, subject: int | str | None) -> str:
        from cockpit.screens.following import Following

        inquiry = await intents.ask(self.desk, question, subject)
        await self.push_screen(Following(self.desk, inquiry))
        return ""
