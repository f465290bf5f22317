"""Gives a wav that was streamed its true sizes: the service can't know them when it sends the header."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

__all__ = ["repair"]

_MOST_CHUNKS = 1_000
_MOST_SIZE = 0xFFFF_FFFF


def repair(file: BinaryIO) -> None:
    """Correct the sizes of a wav's RIFF header and of its data, if they lead beyond its end or are 0.

    The data is found by walking the chunks, since a LIST chunk may stand before it. What is not a wav, and
    one whose sizes are true, stays as it is.

    Args:
        file: Opened for reading and writing, with all of the recording in it.

    Raises:
        OSError: It can't be read or written.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[:4] != b"RIFF" or head[8:] != b"WAVE":
        return
    data = _find_data(file, size)
    if data is None:
        return
    position, declared = data
    there = size - position
    if not declared or declared > there:
        _write_size(file, position - 4, there)
    (riff,) = struct.unpack("<I", head[4:8])
    if riff != size - 8:
        _write_size(file, 4, size - 8)


def _find_data(file: BinaryIO, size: int) -> tuple[int, int] | None:
    """Return where a wav's samples begin, and how many bytes of them its header declares."""
    position = 12
    for _ in range(_MOST_CHUNKS):
        if position + 8 > size:
            return None
        file.seek(position)
        name, length = struct.unpack("<4sI", file.read(8))
        position += 8
        if name == b"data":
            return position, length
        position += length + length % 2
    return None


def _write_size(file: BinaryIO, position: int, size: int) -> None:
    file.seek(position)
    file.write(struct.pack("<I", min(size, _MOST_SIZE)))
