"""What the panes show of a value, and how little of the screen they touch when it changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.geometry import Region

from cockpit.model import Health, Level
from cockpit.screens.desk import TOLD, dependants
from cockpit.screens.form import converted
from tests.screens import world as w
from tests.screens.conftest import Stage
from widgets.document import Sheet
from widgets.figures import age, countdown, duration, number, spark
from widgets.incidents import Incidents
from widgets.line import Ink, difference, line, plain, wrap
from widgets.log import Log
from widgets.plan import change_lines, diff_lines, look_alikes
from widgets.plot import braille, segment
from widgets.proposal import ProposalPane
from widgets.services import Services
from widgets.timeline import Timeline

Staged = Callable[..., Stage]


def texts(lines: object) -> list[str]:
    """The lines without their inks."""
    return [plain(each) for each in lines]  # type: ignore[attr-defined]  # each knows its lines


class TestDiffs:
    """A diff shows what changes, and nothing else."""

    def test_a_mapping_shows_only_the_keys_that_change(self) -> None:
        shown = texts(diff_lines({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 5, "d": 4}, 60))
        assert shown == ["- b: 2", "+ b: 5", "- c: 3", "+ d: 4"]

    def test_a_long_text_shows_only_the_lines_around_a_change(self) -> None:
        before = "\n".join(f"line {n}" for n in range(50))
        shown = texts(diff_lines(before, before.replace("line 25", "changed"), 60))
        assert shown == [
            "@ line 24",
            "  line 23",
            "  line 24",
            "- line 25",
            "+ changed",
            "  line 26",
            "  line 27",
        ]

    def test_of_nested_entries_only_the_innermost_that_differ_are_shown(self) -> None:
        before = {"apps": {"http": {"listen": [80, 443], "routes": [1, 2, 3, 4, 5, 6, 7]}, "tls": {"on": True}}}
        after = {"apps": {"http": {"listen": [80, 443], "routes": [1, 2, 3, 9, 5, 6, 7]}, "tls": {"on": False}}}
        assert texts(diff_lines(before, after, 60)) == [
            "apps.http.routes:",
            "@ line 3",
            "    2,",
            "    3,",
            "-   4,",
            "+   9,",
            "    5,",
            "    6,",
            "- apps.tls.on: true",
            "+ apps.tls.on: false",
        ]

    def test_what_did_not_exist_is_only_added(self) -> None:
        assert texts(diff_lines(None, "on", 60)) == ["+ on"]

    def test_what_an_action_relies_on_is_no_removal(self) -> None:
        assert texts(diff_lines({"oid": 7}, "vacuumed", 60)) == ["oid 7", "  must still hold", "+ vacuumed"]

    def test_the_reason_why_there_is_no_way_back_stands_where_the_way_back_would(self) -> None:
        shown = texts(change_lines(w.VACUUM_PLAN.changes[0], 100))
        assert any(each.startswith(" Way back  none: A vacuum removes") for each in shown)

    def test_letters_of_another_alphabet_are_pointed_out(self) -> None:
        assert list(look_alikes("systemctl restart pоstgres")) == ["'pоstgres' holds cyrillic small letter o."]
        assert list(look_alikes("Grüße на всё 漢字")) == []


class TestFigures:
    """Numbers as people read them."""

    @pytest.mark.parametrize(
        ("seconds", "text"), [(0.0021, "2.1 ms"), (0.34, "340 ms"), (1.23, "1.2 s"), (3e-5, "30 µs")]
    )
    def test_durations(self, seconds: float, text: str) -> None:
        assert duration(seconds) == text

    @pytest.mark.parametrize(("seconds", "text"), [(30, "now"), (720, "12 min"), (7200, "2 h"), (200_000, "2 d")])
    def test_ages(self, seconds: float, text: str) -> None:
        assert age(seconds) == text

    @pytest.mark.parametrize(("value", "text"), [(12.0, "12"), (0.35, "0.35"), (1.2e9, "1.2 G"), (25_000.0, "25 k")])
    def test_numbers(self, value: float, text: str) -> None:
        assert number(value) == text

    def test_a_countdown_tells_minutes_then_seconds_and_never_less_than_nothing(self) -> None:
        shown = [countdown(seconds) for seconds in (252.9, 120, 119.9, 60, 0, -5)]
        assert shown == ["4 min", "2 min", "1:59", "1:00", "0:00", "0:00"]

    def test_a_steady_series_stays_low_and_a_peak_stands_out(self) -> None:
        assert spark([2.0] * 5, 5) == "▃▃▃▃▃"
        assert spark([1.0, 1.0, 1.0, 8.0], 4)[-1] == "█"


class TestLines:
    """Text in cells."""

    def test_words_are_broken_only_where_they_do_not_fit(self) -> None:
        assert wrap("one two three", 8) == ["one two", "three"]
        assert wrap("abcdefghij", 4) == ["abcd", "efgh", "ij"]
        assert wrap("a\n\nb", 4) == ["a", "", "b"]

    def test_wide_characters_count_twice(self) -> None:
        assert wrap("漢字漢字", 4) == ["漢字", "漢字"]

    def test_only_the_cells_between_the_first_and_the_last_difference_are_repainted(self) -> None:
        old = line("name ", ("2.1 ms", Ink.DIM), " same")
        assert difference(old, line("name ", ("3.4 ms", Ink.DIM), " same"), 80) == (5, 11)
        assert difference(old, line("name ", ("3.4 ms", Ink.DIM), " longer than it was"), 80) == (5, 30)


def test_a_line_of_dots_has_no_hole() -> None:
    assert list(segment((0, 0), (4, 2))) == [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2)]
    assert braille(iter([(0, 0), (1, 3)]), 2, 1) == ["⢁ "]


def test_dependants_are_found_through_others() -> None:
    services = {service.name: service for service in w.SERVICES}
    assert dependants("postgres/main", services) == ("caddy/web",)


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("5", {"type": "integer"}, 5),
        ("0.5", {"anyOf": [{"type": "number"}, {"type": "null"}]}, 0.5),
        ("yes", {"type": "boolean"}, True),
        ("a, b", {"type": "array"}, ["a", "b"]),
        ("five", {"type": "integer"}, "five"),
    ],
)
def test_what_was_typed_becomes_what_the_schema_asks_for(text: str, schema: dict[str, object], value: object) -> None:
    assert converted(text, schema) == value


async def test_a_countdown_repaints_only_its_own_cells(staged: Staged) -> None:
    stage = staged(*w.WAITING)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        pane = stage.app.screen.query_one(ProposalPane)
        assert pane.pending is not None
        for left in (100, 99):
            stage.world.clock.now = pane.pending.expires_at - left
            pane._exchange_repaint_regions()
            pane.update()
        (painted,) = pane._exchange_repaint_regions()
        assert painted.height == 1
        assert painted.width <= len("  1:39 left")


async def test_one_probe_repaints_only_its_own_row(staged: Staged) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        pane = stage.app.screen.query_one(Services)
        pane._exchange_repaint_regions()
        seen = list(stage.app.desk.seen())
        stage.world.store.record_health("redis/main", Health(Level.UP, "31 % of 64 MB used", {}, 0.9), w.NOW)
        pane.show(list(stage.app.desk.seen()), w.NOW)
        painted = pane._exchange_repaint_regions()
        assert len(seen) == 5
        assert {region.y for region in painted} == {1 + 4}
        assert all(isinstance(region, Region) and region.x > 20 for region in painted)


async def test_the_cursor_stays_on_its_incident_when_a_worse_one_arrives(staged: Staged) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.press(pilot, "j", "k")
        incidents = stage.app.screen.query_one(Incidents)
        incidents.choose(1)
        incidents.moved = True
        stage.world.waiting()
        stage.app.view.look()  # type: ignore[union-attr]  # a view is mounted
        await stage.settled(pilot)
        assert [row.key for row in incidents._rows] == [2, 1]
        assert incidents.chosen == 1


async def test_until_it_is_moved_the_cursor_rests_on_what_needs_the_operator(staged: Staged) -> None:
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        stage.world.waiting()
        stage.app.view.look()  # type: ignore[union-attr]  # a view is mounted
        await stage.settled(pilot)
        assert stage.app.screen.query_one(Incidents).chosen == 2
        assert stage.app.screen.query_one(ProposalPane).pending is not None


async def test_any_place_of_a_long_log_is_reached_at_once_and_little_of_it_is_held(staged: Staged) -> None:
    stage = staged()
    for number_ in range(5000):
        stage.world.store.note("monitor", "note", f"event {number_}")
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.press(pilot, "6")
        log = stage.app.screen.query_one(Log)
        for row in range(0, 5000, 400):
            log.scroll_to(y=row, animate=False)
            await pilot.pause()
            await stage.settled(pilot)
            assert f"event {row} " in texts(log._visible())[0] + " "
        assert len(log._pages) <= 12


async def test_of_a_long_timeline_the_end_is_shown_with_a_sign_that_the_rest_is_left_out(staged: Staged) -> None:
    stage = staged(*w.CALM)
    for number_ in range(TOLD + 30):
        stage.world.store.note("monitor", "note", f"look {number_}", incident=1)
    everything = len(stage.world.store.reader.events(incident=1, limit=10 * TOLD))
    sign = f"{everything - TOLD} older events, all in: cockpit export 1"
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        timeline = stage.app.screen.query_one(Timeline)
        assert f"look {TOLD + 29}" in texts(timeline._visible())[-1]
        assert sign in texts(timeline._body)[0]
        await stage.press(pilot, "2")
        story = stage.app.screen.query_one("#detail", Sheet).copy_text()
        assert sign in story and story.endswith(f"look {TOLD + 29}")


async def test_the_services_that_are_as_they_were_are_not_written_anew(
    staged: Staged, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    write = Services._row
    monkeypatch.setattr(
        Services,
        "_row",
        lambda pane, seen, *rest: written.append(seen.watched.service.name) or write(pane, seen, *rest),
    )
    stage = staged(*w.CALM)
    async with stage.app.run_test(size=(120, 40)) as pilot:
        await stage.settled(pilot)
        written.clear()
        stage.world.store.record_health("redis/main", Health(Level.UP, "31 % of 64 MB used", {}, 0.9), w.NOW)
        stage.app.view.look()  # type: ignore[union-attr]  # no dialog is open
        await stage.settled(pilot)
        assert written == ["redis/main"]
