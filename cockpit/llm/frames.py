"""What goes over the pipes between us and the worker: JSON, each piece with its length before it."""

from __future__ import annotations

import json
import struct
from asyncio import IncompleteReadError, StreamReader
from collections.abc import Mapping
from typing import Any, BinaryIO, TypeAlias

from cockpit.model import CockpitError

LARGEST = 16 * 2**20
"""Bytes a frame may have."""
HEAD = struct.Struct(">I")

Frame: TypeAlias = Mapping[str, Any]  # a JSON edge: each side reads what it knows


class FrameError(CockpitError):
    """What came is no frame, or one that is too large to be sent."""


def packed(frame: Frame) -> bytes:
    """A frame as it goes over the pipe. Raises FrameError when it is too large."""
    body = json.dumps(frame, separators=(",", ":")).encode()
    if len(body) > LARGEST:
        raise FrameError(f"{len(body)} bytes are more than a frame may have.")
    return HEAD.pack(len(body)) + body


def read(stream: BinaryIO) -> Frame | None:
    """The next frame; None at the end, also one within a frame. Raises FrameError."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    size = _size(head)
    body = stream.read(size)
    return _frame(body) if len(body) == size else None


async def receive(stream: StreamReader) -> Frame | None:
    """The next frame; None at the end, also one within a frame. Raises FrameError."""
    try:
        head = await stream.readexactly(HEAD.size)
        return _frame(await stream.readexactly(_size(head)))
    except (IncompleteReadError, ConnectionError):
        return None


def _size(head: bytes) -> int:
    size: int = HEAD.unpack(head)[0]
    if size > LARGEST:
        raise FrameError(f"{size} bytes are more than a frame may have.")
    return size


def _frame(body: bytes) -> Frame:
    try:
        frame = json.loads(body)
    except (ValueError, RecursionError):
        raise FrameError("A frame holds no JSON.") from None
    if not isinstance(frame, dict):
        raise FrameError("A frame holds no object.")
    return frame
