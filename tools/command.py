"""Run a program with a list of arguments, a time limit and a clean environment; never a shell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cockpit.model import Unreachable
from cockpit.toolkit import programs

ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
LONGEST = 8_000_000
"""Bytes that are read of what a program prints."""


@dataclass(frozen=True)
class Output:
    """What became of a program."""

    status: int
    """Its exit status; negative: ended by that signal."""
    text: str
    """What it printed."""
    errors: str
    """What it printed as errors."""

    @property
    def said(self) -> str:
        """The end of what it printed, errors first, for a message."""
        return (self.errors.strip() or self.text.strip())[-500:]


async def execute(argv: Sequence[str], *, seconds: float, environment: Mapping[str, str] = ENVIRONMENT) -> Output:
    """Run a program to its end.

    Args:
        argv: the program and its arguments.
        seconds: after which it and its children are killed.
        environment: all of its environment.

    Raises:
        Unreachable: it cannot be run, or does not end in time.
    """
    if programs.wanted() and shutil.which(argv[0], path=environment.get("PATH")) is None:
        raise Unreachable(f"'{argv[0]}' cannot be run: there is no such program.", "Check that it is installed.")
    # Files, not pipes: a daemon that a start command leaves behind would hold a pipe open for ever.
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as errors:
        try:
            process = await asyncio.create_subprocess_exec(
                *(programs.gated(argv) if programs.wanted() else argv),
                stdin=asyncio.subprocess.PIPE if programs.wanted() else asyncio.subprocess.DEVNULL,
                stdout=text,
                stderr=errors,
                env=environment,
                start_new_session=True,
            )
        except OSError as error:
            raise Unreachable(f"'{argv[0]}' cannot be run: {error.strerror}.", "Check that it is installed.") from error
        await _carried_out(process, argv, seconds)
        return Output(process.returncode or 0, _content(text), _content(errors))


async def _carried_out(process: asyncio.subprocess.Process, argv: Sequence[str], seconds: float) -> None:
    """Let it begin once it is written down, where that is wanted, and wait for its end."""
    with contextlib.ExitStack() as until_its_end:
        try:
            until_its_end.enter_context(programs.noted(process.pid, argv))
            if process.stdin:
                process.stdin.write(b"\n")
        except OSError as error:
            raise Unreachable(
                f"'{argv[0]}' was not run, for it could not be written down: {error.strerror}.",
                "Check the disk that holds the log.",
            ) from error
        finally:
            if process.stdin:
                process.stdin.close()
        await _finished(process, argv, seconds)


async def _finished(process: asyncio.subprocess.Process, argv: Sequence[str], seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        raise Unreachable(f"'{shlex.join(argv)}' did not end within {seconds:g} s.", "Try it by hand.") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


def _content(file: BinaryIO) -> str:
    file.seek(0)
    return file.read(LONGEST).decode(errors="replace")
