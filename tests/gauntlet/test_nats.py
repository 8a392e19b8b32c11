"""Every fault of the lab's NATS, through the whole engine."""

from __future__ import annotations

import pytest

from cockpit.lab.nats import FAULTS
from tests.gauntlet.course import Course

SERVERS = ("nats", "orders-worker")


@pytest.mark.parametrize("fault", [fault.name for fault in FAULTS if fault.remedy])
def test_it_is_explained_mended_and_on_the_record(fault: str, course: Course) -> None:
    incident = course.run(fault)
    assert incident.resolved_at is not None
