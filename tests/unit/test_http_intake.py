"""The queue in front of the log: how posts share a commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from cockpit.serve.http import intake as intake_module
from cockpit.serve.http.intake import Intake
from cockpit.store.intake import Cleared, Report

REPORT = Cleared("x", 0.0)
PEOPLE, POSTS = 8, 20
LONG = 600.0


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit waits so long for others that a test which has to wait for it does not end."""
    monkeypatch.setattr(intake_module, "GATHERS", LONG)


async def served(posting: Sequence[int]) -> list[int]:
    """Posts of several, each so often and again as soon as it was answered; the size of each commit."""
    commits: list[int] = []

    def commit(reports: Sequence[Report]) -> None:
        time.sleep(0.001)  # a disk takes its time, and others post meanwhile
        commits.append(len(reports))

    intake = Intake(commit, 1000)
    writing = asyncio.create_task(intake.run())

    async def post(times: int) -> None:
        for _ in range(times):
            await intake.add([REPORT])

    await asyncio.gather(*(post(times) for times in posting))
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    return commits


@pytest.mark.usefixtures("patient")
async def test_whoever_posts_again_at_once_shares_the_next_commit_with_the_others():
    commits = await served([POSTS] * PEOPLE)
    assert sum(commits) == PEOPLE * POSTS
    assert len(commits) <= POSTS + 2, commits


async def test_a_commit_waits_only_a_moment_for_whoever_does_not_post_again():
    commits = await served([1] * PEOPLE + [POSTS])
    assert sum(commits) == PEOPLE + POSTS


@pytest.mark.usefixtures("patient")
async def test_who_is_alone_waits_for_nobody():
    assert await served([200]) == [1] * 200
