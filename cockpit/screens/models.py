"""The models: the record of each, the budget, and what was asked lately."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial

from cockpit.llm.accounts import budgets, standings
from cockpit.model.accounts import ModelStanding
from cockpit.screens.courses import course
from cockpit.screens.following import Following
from cockpit.screens.pair import Pair, no_choice
from cockpit.screens.view import Show
from widgets.document import Write
from widgets.inquiry import followed_lines
from widgets.models import Models as ModelList
from widgets.models import model_lines
from widgets.rows import Rows

CALLS, INQUIRIES = 200, 50
"""The newest calls and inquiries that are looked through."""


class Models(Pair):
    """Every model with its record, and every inquiry of late."""

    NAME = "Models"
    HELP = "The models that may be asked, in the order of the config, and what was asked lately."

    def list(self) -> Rows:
        """The models, and what was asked lately."""
        return ModelList(id="list")

    def read(self) -> Show:
        """Budgets, records, inquiries, and the chosen one of them whole."""
        settings, asked, now = self.desk.models, self.desk.reader.asked, self.desk.clock()
        assert settings is not None  # the view is there only where models are configured
        limits, models = budgets(settings, asked, now), standings(settings, asked, now)
        inquiries = asked.latest(INQUIRIES)
        key = self.wanted([*(("model", each.name) for each in models), *(("inquiry", each.id) for each in inquiries)])
        title, write = self._chosen_one(key, models, now)

        def show() -> None:
            self.query_one(ModelList).show(limits, models, inquiries, now)
            self.detail(key, title, write)

        return show

    def _chosen_one(self, key: Hashable, models: Sequence[ModelStanding], now: float) -> tuple[str, Write]:
        what, name = key if isinstance(key, tuple) else ("", "")
        if what == "inquiry":
            return f"Inquiry {name}", partial(followed_lines, course(self.desk.reader, name))
        for each in models:
            if each.name == name:
                calls = [call for call in self.desk.reader.asked.lately(CALLS) if call.model == name]
                return f"Model {name}", partial(model_lines, each, calls, now)
        return "Model", no_choice

    def open(self, key: Hashable) -> None:
        """Follow an inquiry; read a model's record whole."""
        if isinstance(key, tuple) and key[0] == "inquiry":
            self.app.push_screen(Following(self.desk, key[1]))
        else:
            super().open(key)
