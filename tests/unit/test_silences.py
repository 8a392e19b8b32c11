"""Mutes and maintenance windows: what they cover, when they end, and what they keep from happening."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cockpit.agent.silences import Silences
from cockpit.model import Approval, CockpitError, Level, Plan, Service
from cockpit.safety.policy import Record, judge
from cockpit.settings import PolicySettings
from cockpit.settings.daemon import Maintenance
from tests.faults.world import registry
from tests.unit.store_examples import START, Log

SERVICES = {
    service.name: service
    for service in (
        Service("redis/cache", {"host": "10.0.0.5"}, tags=("web",)),
        Service("redis/queue", {"host": "10.0.0.6"}),
        Service("caddy/front", {"admin": "http://10.0.0.5:2019"}, tags=("web", "edge")),
        Service("host/nas"),
    )
}


def silences(log: Log, *windows: Maintenance) -> Silences:
    return Silences(log.store, SERVICES, windows, clock=log.clock)


def quiet(found: Silences) -> set[str]:
    return {name for name in (*SERVICES, "heartbeat/backup") if found.why(name)}


@pytest.mark.parametrize(
    ("matcher", "covered"),
    [
        ("redis/cache", {"redis/cache"}),
        ("kind:redis", {"redis/cache", "redis/queue"}),
        ("tag:web", {"redis/cache", "caddy/front"}),
        ("tag:edge", {"caddy/front"}),
        ("host:10.0.0.5", {"redis/cache", "caddy/front"}),
        ("host:nas", {"host/nas"}),
        ("kind:heartbeat", {"heartbeat/backup"}),
        ("heartbeat/backup", {"heartbeat/backup"}),
        ("redis/other", set()),
        ("tag:nothing", set()),
    ],
)
def test_a_mute_covers_what_its_matcher_names_and_nothing_else(log, matcher, covered):
    log.store.mute(matcher, START + 60, "ann")
    assert quiet(silences(log)) == covered


@pytest.mark.parametrize("matcher", ["", " ", "redis", "tag:", "tag: ", "colour:red", "kind:", "/x", "a/"])
def test_what_names_nothing_is_refused(log, matcher):
    with pytest.raises(CockpitError, match="names nothing to mute"):
        log.store.mute(matcher, START + 60, "ann")


def test_a_mute_ends_when_it_was_to_end(log):
    log.store.mute("redis/cache", START + 60, "ann", "moving it")
    found = silences(log)
    assert found.why("redis/cache") == "redis/cache is muted by ann: moving it"
    log.clock.now += 59
    assert found.why("redis/cache")
    log.clock.now += 1
    assert not found.why("redis/cache") and log.store.reader.mutes(log.clock.now) == []


def test_a_mute_that_ends_in_the_past_is_refused(log):
    with pytest.raises(CockpitError, match="ended already"):
        log.store.mute("redis/cache", START, "ann")


def test_a_mute_is_ended_by_hand_and_a_new_one_takes_an_old_ones_place(log):
    log.store.mute("redis/cache", START + 60, "ann")
    log.store.mute("redis/cache", None, "bob")
    (kept,) = log.store.reader.mutes(log.clock.now)
    assert (kept.by, kept.ends_at) == ("bob", None)
    assert (log.store.unmute("redis/cache", "ann"), log.store.unmute("redis/cache", "ann")) == (1, 0)
    assert quiet(silences(log)) == set()


def test_mutes_are_written_into_the_log_which_stays_whole(log):
    log.store.mute("redis/cache", START + 60, "ann", "moving it")
    log.store.unmute("redis/cache", "bob")
    told = [(event.actor, event.text) for event in log.store.reader.events()]
    assert told == [("ann", "redis/cache is muted: moving it"), ("bob", "redis/cache is no longer muted.")]
    assert log.store.check() == []


def test_a_mute_until_healthy_ends_after_two_good_probes_in_a_row(log):
    log.store.mute("redis/cache", None, "ann", until_healthy=True)
    found = silences(log)
    for level in (Level.DOWN, Level.UP, Level.DEGRADED, Level.UP):
        found.saw("redis/cache", level)
        found.saw("redis/queue", Level.UP)
    assert found.why("redis/cache")
    found.saw("redis/cache", Level.UP)
    assert not found.why("redis/cache")
    assert log.store.reader.events()[-1].text == "redis/cache is no longer muted: it is healthy again."


def test_a_mute_until_healthy_of_several_waits_for_each(log):
    log.store.mute("tag:web", None, "ann", until_healthy=True)
    found = silences(log)
    for _ in range(3):
        found.saw("redis/cache", Level.UP)
    assert found.why("redis/cache")
    for _ in range(2):
        found.saw("caddy/front", Level.UP)
    assert quiet(found) == set()


def test_a_plain_mute_does_not_end_by_health(log):
    log.store.mute("redis/cache", None, "ann")
    found = silences(log)
    for _ in range(5):
        found.saw("redis/cache", Level.UP)
    assert found.why("redis/cache")


@pytest.mark.parametrize(
    ("what", "covered"),
    [
        ({"services": ("redis/cache",)}, {"redis/cache"}),
        ({"kinds": ("redis",)}, {"redis/cache", "redis/queue"}),
        ({"tags": ("edge",)}, {"caddy/front"}),
        ({"hosts": ("10.0.0.5",)}, {"redis/cache", "caddy/front"}),
        ({"services": ("host/nas",), "tags": ("edge",)}, {"host/nas", "caddy/front"}),
    ],
)
def test_a_maintenance_window_covers_services_hosts_tags_and_kinds(log, what, covered):
    start, end = (datetime.fromtimestamp(START + seconds, UTC) for seconds in (100, 200))
    found = silences(log, Maintenance("move", start=start, end=end, **what))
    assert quiet(found) == set()
    log.clock.now += 100
    assert quiet(found) == covered
    assert {name for name in SERVICES if found.maintenance(name)} == covered
    log.clock.now += 100
    assert quiet(found) == set()


def test_a_mute_makes_every_change_wait_for_a_person():
    service, plan = Service("world/one"), Plan("x")
    settings = PolicySettings(levels={"set_world_value": Approval.SOFT})
    now = datetime(2026, 6, 1, 12, 0)
    tool = registry().tool("set_world_value")
    assert judge(settings, tool, service, plan, Record(), now).approval is Approval.SOFT
    ruling = judge(settings, tool, service, plan, Record(muted="world/one is muted by ann."), now)
    assert (ruling.approval, ruling.why) == (Approval.HARD, "world/one is muted by ann.")
