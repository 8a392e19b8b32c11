"""The keyed chain that the events hang on, and the seals by which an event vouches for rows."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from operator import itemgetter
from pathlib import Path
from typing import Any

from cockpit import ownership
from cockpit.model import JSON, canonical
from cockpit.store.connection import StoreError

GENESIS = bytes(32)
"""What stands before the first event."""

LINKED = ("id", "at", "incident", "actor", "kind", "text", "data", "service", "seals")
"""The columns of an event that its link covers."""

SEALED: Mapping[str, Sequence[str]] = {
    "incident": (
        [
            "id",
            "service",
            "title",
            "severity",
            "status",
            "opened_at",
            "resolved_at",
            "cause",
            "runbook",
            "alerts",
            "flapping",
        ]
    ),
    "alert": (
        [
            "id",
            "incident",
            "fingerprint",
            "service",
            "name",
            "severity",
            "summary",
            "starts_at",
            "source",
            "labels",
            "resolved_at",
        ]
    ),
    "run": ["id", "incident", "tool", "service", "arguments", "status", "summary", "data", "started_at", "seconds"],
    "proposal": (
        [
            "id",
            "incident",
            "tool",
            "service",
            "arguments",
            "plan",
            "digest",
            "approval",
            "state",
            "created_at",
            "expires_at",
            "reason",
            "undoes",
            "policy",
            "needs_name",
            "outcome",
        ]
    ),
    "decision": ["proposal", "verdict", "actor", "channel", "at", "digest", "reason"],
    "change": ["id", "proposal", "position", "service", "body", "state", "claimed_at", "finished_at", "outcome"],
    "inquiry": (
        [
            "id",
            "incident",
            "service",
            "question",
            "actor",
            "state",
            "created_at",
            "model",
            "tokens",
            "dollars",
            "finished_at",
            "outcome",
            "answer",
        ]
    ),
    "model_call": (
        [
            "id",
            "inquiry",
            "model",
            "tier",
            "at",
            "seconds",
            "input_tokens",
            "output_tokens",
            "dollars",
            "outcome",
            "error",
            "sent",
            "reply",
        ]
    ),
    "checkpoint": ["event", "mac", "at", "removed"],
}
"""The tables whose every row an event vouches for, with the columns that it covers. The first is the key."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last event of the chain: whoever keeps it elsewhere can tell when the log was cut or rebuilt."""

    id: int
    mac: bytes


def link(key: bytes, previous: bytes, event: Mapping[str, JSON] | sqlite3.Row) -> bytes:
    """HMAC-SHA256 of an event and of the link before it."""
    text = canonical([event[column] for column in LINKED])
    return hmac.digest(key, previous + text.encode(), "sha256")


def seal(table: str, row: sqlite3.Row | Mapping[str, Any]) -> str:
    """The SHA-256, in hex, of what a row holds; the event that names it is what protects it."""
    text = canonical([table, *_covered(table)(row)])
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _covered(table: str) -> Callable[[Any], tuple[JSON, ...]]:
    """Takes out of a row what a seal covers."""
    return itemgetter(*SEALED[table])


def load_key(path: Path, *, create: bool) -> bytes:
    """The chain's key from its file of mode 0600; `create` makes a new one where there is none.

    Raises CockpitError when it is missing, is a link, or may be read by others.
    """
    if create:
        _create_key(path)
    if fault := ownership.of_file(path):
        raise StoreError(f"The log's key {fault[0]}", fault[1])
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise StoreError(
            f"The log's key {path} cannot be read: {error.strerror}.",
            "Put the key back from a backup; without it nobody can tell whether the log was edited.",
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if os.fstat(descriptor).st_mode & 0o077:
            raise StoreError(f"The log's key {path} may be read by other users.", f"Run: chmod 600 {path}")
        text = file.read(200).strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) != 32:
        raise StoreError(f"The log's key {path} is not 64 hex digits.", "Put the key back from a backup.")
    return key


def _create_key(path: Path) -> None:
    """Make the key whole or not at all: two processes that start at once agree on one."""
    if os.path.lexists(path):
        return
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(part, path)
    except FileExistsError:
        return
    finally:
        part.unlink()
