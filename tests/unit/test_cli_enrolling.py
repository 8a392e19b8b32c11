"""What stands in the way of an enrolment is said before a code is made."""

from __future__ import annotations

import pytest

from tests.unit.cli_world import Home, home_in


@pytest.fixture
def home(tmp_path, capsys, monkeypatch) -> Home:
    return home_in(tmp_path, capsys, monkeypatch)


def test_without_a_bot_nobody_can_be_enrolled(home):
    assert home("telegram", "enrol", "Ada")[2].startswith("cockpit: There is no bot")


def test_a_name_that_is_none_and_a_bot_that_nobody_listens_to_are_told(home):
    home.configure('[telegram]\ntoken = "123:abcdefgh"')
    home.config.chmod(0o600)
    assert home("telegram", "enrol", "Ada;")[::2] == (
        2, "cockpit: 'Ada;' is no name for a person. Write it like: cockpit telegram enrol Ada\n"
    )  # fmt: skip
    assert home("telegram", "enrol", "Ada")[2].startswith("cockpit: Nobody listens to the bot.")
