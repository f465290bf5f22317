"""Reads files in blocks, in threads, the next being read while the last is sent."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import Any, BinaryIO, Protocol, TypeAlias, cast

from siliconflow_voice.audio.pool import STEP, ReadPool
from siliconflow_voice.audio.wording import one_line
from siliconflow_voice.errors import (
    AudioSourceError,
    InvalidUploadError,
    SiliconFlowError,
    SourceChangedError,
)

__all__ = ["Block", "BlockReader", "checked", "fill", "read_ahead", "reading_errors"]

Block: TypeAlias = "bytes | memoryview"


class BlockReader:
    """Reads blocks, one at a time; closes after the last read, an abandoned one included."""

    def __init__(
        self,
        pool: ReadPool,
        name: str,
        *,
        begin: Callable[[], BinaryIO],
        check: Callable[[BinaryIO], None],
        owned: bool,
        lock: threading.Lock | None = None,
        start: int | None = None,
    ) -> None:
        self._pool = pool
        self._name = name
        self._begin = begin
        self._check = check
        self._owned = owned
        # A caller's file is shared: with a read that was abandoned, or with another upload.
        self._lock = threading.Lock() if lock is None else lock
        self._position = start
        self._file: BinaryIO | None = None
        self._closed = False

    def read(self, remaining: int | None) -> memoryview:
        """Read the next block of what remains into a borrowed buffer; check the file along with its last."""
        with self._lock, reading_errors(self._name):
            if self._closed:
                return memoryview(b"")
            if self._file is None:
                self._file = self._begin()
            if self._position is not None:
                self._file.seek(self._position)
            wanted = STEP if remaining is None else min(remaining, STEP)
            view = memoryview(self._pool.borrow())
            block = view[: fill(self._file, view[:wanted])]
            if self._position is not None:
                self._position += len(block)
            if remaining is not None:
                if len(block) < wanted:
                    raise SourceChangedError(f"{self._name} shrank while it was being uploaded")
                if len(block) == remaining:
                    self._check(self._file)
            return block

    def close(self) -> None:
        """Close the file, if it is ours, after the read under way."""
        with self._lock:
            self._closed = True
            if self._owned and self._file is not None:
                self._file.close()


async def read_ahead(reader: BlockReader, size: int | None, pool: ReadPool) -> AsyncGenerator[Block, None]:
    """Yield blocks, each of which is valid until the next one is asked for."""
    remaining = size
    pending = pool.begin(partial(reader.read, remaining))
    try:
        while block := await pending:
            if remaining is not None:
                remaining -= len(block)
            if remaining != 0:
                pending = pool.begin(partial(reader.read, remaining))
            yield block
            # Not in a `finally`: where it ends before, the connection may still look at the buffer.
            pool.give_back(block.obj)  # type: ignore[arg-type] # a buffer of the pool's
            if remaining == 0:
                return
    finally:
        pending.cancel()
        pool.later(reader.close)


class _Reads(Protocol):
    def read(self, count: int, /) -> Any: ...


class _ReadsInto(Protocol):
    def readinto(self, view: memoryview, /) -> int | None: ...


def fill(file: _Reads | _ReadsInto, view: memoryview) -> int:
    """Read until *view* is full or the file ends; return the number of bytes."""
    readinto = getattr(file, "readinto", None)
    filled = 0
    while filled < len(view):
        if readinto is not None:
            count = readinto(view[filled:])
        elif (data := cast("_Reads", file).read(len(view) - filled)) is None:
            count = None
        else:
            piece = checked(data, "its read()")
            count = len(piece)
            view[filled : filled + count] = piece
        if count is None:
            raise AudioSourceError("it is a non-blocking file, with nothing to read at the moment")
        if not count:
            break
        filled += count
    return filled


def checked(data: Any, name: str) -> bytes:
    """Return as bytes what a caller's object returned."""
    if isinstance(data, bytes):
        return data
    if isinstance(data, bytearray | memoryview):
        # Either may be written to, and a view may count in items of many bytes.
        return bytes(cast("bytearray", data))
    raise InvalidUploadError("audio", f"{name} gave {type(data).__name__}, not bytes", rule="source")


@contextmanager
def reading_errors(name: str) -> Generator[None, None, None]:
    """Turn what a file raises into the SDK's own error: a caller's object may raise anything.

    A closed one raises ValueError, damaged archives EOFError, zlib.error or BadZipFile.
    """
    try:
        yield
    except SiliconFlowError:
        raise
    except Exception as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error) or repr(error)
        if reason[1:2].islower():  # not that of "I/O error"
            reason = reason[:1].lower() + reason[1:]
        raise AudioSourceError(f"{name} can't be read: {one_line(reason)}") from error
