"""A learned runbook is tried against the lab, which really breaks that way."""

from __future__ import annotations

from pathlib import Path

import pytest

from cockpit.agent.runbooks import Runbook, load
from cockpit.agent.trial import in_lab, lab_faults, read_draft
from cockpit.files import data_file
from cockpit.lab.catalogue import faults
from cockpit.toolkit import Registry

DRAFT = """
kind: redis
runbooks:
  - id: learned-redis-memory-full-1
    learned: 1
    title: The memory is full
    alerts: [redis-memory-full]
    look:
      memory: {tool: check_redis_memory}
    holds: 'memory.used_ratio > 0.9 && memory.policy == "noeviction"'
    rivals:
      - {cause: buffers, ruled_out: "memory.client_buffer_bytes < memory.limit_bytes * 0.3", reading: "few"}
    cause: "It uses ${memory.used_ratio} of its memory."
    confidence: 0.8
    propose: [{tool: set_redis_maxmemory, with: {megabytes: "${memory.suggested_limit_megabytes}"}}]
"""


def draft(folder: Path, text: str = DRAFT) -> Runbook:
    (folder / "draft.yaml").write_text(text)
    return read_draft(folder / "draft.yaml", Registry.discover())


@pytest.mark.parametrize(
    ("right", "wrong"), [("", ""), ("> 0.9 &&", "> 9.0 &&"), ("suggested_limit_megabytes", "used_ratio")]
)
async def test_it_has_to_explain_what_the_lab_breaks(right: str, wrong: str, tmp_path: Path) -> None:
    registry = Registry.discover()
    book = draft(tmp_path, DRAFT.replace(right, wrong) if right else DRAFT)
    (fault,) = lab_faults(book, faults().values())
    assert fault.name == "redis-memory-full"
    shipped = load([data_file("runbooks")], {name: tool.writes for name, tool in registry.tools.items()})
    trial = await in_lab(book, fault, registry, shipped)
    assert bool(trial.problems) is bool(wrong), trial
    if not wrong:
        assert trial.told[0].startswith("In the lab it explains redis-memory-full: It uses ")
