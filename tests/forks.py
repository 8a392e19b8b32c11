"""Processes that are killed again and again: forked from one that has loaded everything, each within milliseconds."""

from __future__ import annotations

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.faults.crash_process", "tests.telegram.process", "telegram.request"])
