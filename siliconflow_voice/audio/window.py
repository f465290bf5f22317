"""Looks at any part of a recording, in memory or in a file that is read piece by piece."""

from __future__ import annotations

from typing import BinaryIO, TypeAlias

from siliconflow_voice.audio.blocks import fill

__all__ = ["View", "Window"]

View: TypeAlias = "bytes | memoryview"

# A parser takes many small looks, mostly one behind the other.
_PIECE = 1 << 16
_LEAST = 1 << 12


class Window:
    """The bytes of a recording by their position. What is asked for beyond the end is not there."""

    def __init__(
        self, head: View, size: int | None = None, file: BinaryIO | None = None, *, whole: bool = True
    ) -> None:
        """Look at *head* alone, or at all *size* bytes of a *file* that stands where they begin."""
        self._held = memoryview(head)
        self._start = 0
        self._file = file
        self._base = 0 if file is None else file.tell()
        self.size = len(self._held) if size is None or file is None else size
        """Bytes that can be looked at."""
        self.whole = whole
        """Whether those are all that there are; False for the beginning of a stream."""

    def at(self, position: int, count: int) -> bytes:
        """Return up to *count* bytes from *position* on."""
        return bytes(self.view(position, count))

    def view(self, position: int, count: int) -> memoryview:
        """Return up to *count* bytes from *position* on, without a copy."""
        count = min(count, self.size - position)
        if count <= 0:
            return memoryview(b"")
        offset = position - self._start
        if self._file is not None and not 0 <= offset <= len(self._held) - count:
            self._file.seek(self._base + position)
            piece = memoryview(bytearray(max(count, min(_PIECE, self.size - position))))
            self._held, self._start = piece[: fill(self._file, piece)], position
            offset = 0
        return self._held[offset : offset + count]

    def some(self, position: int, most: int) -> memoryview:
        """Return what is held from *position* on, or up to *most* bytes if that is less than 4 KiB."""
        held = len(self._held) - (position - self._start)
        return self.view(position, max(held, 0) if held >= _LEAST else most)
