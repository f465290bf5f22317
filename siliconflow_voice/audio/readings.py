"""One call's reading of a source: facts first, then the bytes, once for each attempt."""

from __future__ import annotations

import io
import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Any, BinaryIO, TypeAlias, cast

from siliconflow_voice.audio.formats import (
    AudioFacts,
    declared_pcm,
    detect,
    duration,
    media_type,
    pcm_duration,
)
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.errors import (
    AudioSourceError,
    InvalidUploadError,
    SiliconFlowError,
    SourceChangedError,
    SourceConsumedError,
)

__all__ = ["BLOCK", "BytesReading", "FileReading", "PathReading", "Reading", "StreamReading"]

Block: TypeAlias = "bytes | memoryview"

BLOCK = 3 << 18
"""Bytes read at a time: a smaller file takes one trip to a thread. Divisible by 3, as base64 likes it."""
_HEAD = 1 << 12

_Identity: TypeAlias = "tuple[int, int, int, int]"


class Reading(ABC):
    """Reads one source for one call. Not to be shared by calls."""

    @property
    def can_replay(self) -> bool:
        """Whether it can be read from the start: again, or for the first time."""
        return True

    @abstractmethod
    async def facts(self, *, measure: bool = True) -> AudioFacts:
        """Look at the audio before anything is sent; its duration too, if it is to be measured.

        Raises:
            AudioSourceError: It can't be read.
            InvalidUploadError: It is nothing that audio could be read from.
        """

    @abstractmethod
    def blocks(self) -> AsyncGenerator[Block, None]:
        """Read it from the start, in blocks; for a source that can't be replayed, once."""

    def forget(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what is held in memory, since it will be a while until it is sent."""


class BytesReading(Reading):
    """Bytes in memory."""

    def __init__(self, data: bytes | bytearray | memoryview, content_type: str | None) -> None:
        try:
            self._view = memoryview(data).cast("B")
        except TypeError:
            raise InvalidUploadError("audio", "a memoryview that is not contiguous") from None
        self._content_type = content_type

    async def facts(self, *, measure: bool = True) -> AudioFacts:
        whole = partial(io.BytesIO, self._view) if measure else None
        return _facts(self._view, len(self._view), self._content_type, whole)

    async def blocks(self) -> AsyncGenerator[Block, None]:
        for start in range(0, len(self._view), BLOCK):
            yield self._view[start : start + BLOCK]


class PathReading(Reading):
    """A regular file, opened anew for each attempt, and the same one every time."""

    def __init__(self, path: str | bytes, name: str, content_type: str | None, pool: ReadPool) -> None:
        self._path = path
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._identity: _Identity | None = None
        self._held: bytes | None = None

    async def facts(self, *, measure: bool = True) -> AudioFacts:
        return await self._pool.begin(partial(self._inspect, measure=measure))

    async def blocks(self) -> AsyncGenerator[Block, None]:
        held, self._held = self._held, None
        if held is not None:
            yield held
            return
        reader = _BlockReader(self._open, self._check, self._name, owned=True)
        async with aclosing(_read_ahead(reader, self._size, self._pool)) as blocks:
            async for block in blocks:
                yield block

    def forget(self) -> None:
        self._held = None

    @property
    def _size(self) -> int:
        return cast("_Identity", self._identity)[2]

    def _inspect(self, *, measure: bool) -> AudioFacts:
        with _reading_errors(self._name), self._open() as file:
            size = self._size
            head = _read(file, min(size, BLOCK))
            self._check(file)
            small = size == len(head)
            whole = partial(io.BytesIO, head) if small else partial(_buffered, file)
            facts = _facts(head, size, self._content_type, whole if measure else None)
        self._held = head if small else None
        return facts

    def _open(self) -> BinaryIO:
        # O_NONBLOCK, or opening a FIFO would wait for a writer. It means nothing to a regular file.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        file = open(self._path, "rb", buffering=0, opener=lambda path, _: os.open(path, flags))  # noqa: SIM115
        try:
            self._check(file)
        except BaseException:
            file.close()
            raise
        return cast("BinaryIO", file)

    def _check(self, file: BinaryIO | io.FileIO) -> None:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise AudioSourceError(f"{self._name} is {_kind(status.st_mode)}, not a regular file")
        identity = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise SourceChangedError(f"{self._name} changed while it was being uploaded")


class FileReading(Reading):
    """The caller's file object: from where it stands, and never closed."""

    def __init__(
        self, file: BinaryIO, name: str, content_type: str | None, pool: ReadPool, *, replayable: bool
    ) -> None:
        self._file = file
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._replayable = replayable
        self._start = 0
        self._size: int | None = None
        self._head: bytes | None = None

    @property
    def can_replay(self) -> bool:
        return self._replayable or self._head is not None

    async def facts(self, *, measure: bool = True) -> AudioFacts:
        return await self._pool.begin(partial(self._inspect, measure=measure))

    async def blocks(self) -> AsyncGenerator[Block, None]:
        reader = _BlockReader(self._rewind, self._check, self._name, owned=False)
        if self._size is None:
            if self._head is None:
                raise SourceConsumedError(f"{self._name} can't be rewound, and was read already")
            head, self._head = self._head, None
            yield head
        async with aclosing(_read_ahead(reader, self._size, self._pool)) as blocks:
            async for block in blocks:
                yield block

    def _inspect(self, *, measure: bool) -> AudioFacts:
        with _reading_errors(self._name):
            if not self._replayable:
                self._head = _read(self._file, _HEAD)
                return _facts(self._head, None, self._content_type, None)
            self._start = self._file.tell()
            self._file.seek(0, os.SEEK_END)
            self._size = max(self._file.tell() - self._start, 0)
            if not self._size and self._start:
                raise InvalidUploadError(
                    "audio", f"{self._name} is at its end: seek it to where the audio begins"
                )
            head = _read(self._rewind(), min(self._size, BLOCK))
            # The headers' parser seeks from the start, which may not be where the audio begins.
            whole: Callable[[], BinaryIO] | None = None
            if measure and self._size <= BLOCK:
                whole = partial(io.BytesIO, head)
            elif measure and self._start == 0:
                whole = self._rewind
            return _facts(head, self._size, self._content_type, whole)

    def _rewind(self) -> BinaryIO:
        if self._replayable:
            self._file.seek(self._start)
        return self._file

    def _check(self, file: BinaryIO) -> None:
        if self._size is not None and file.read(1):
            raise SourceChangedError(f"{self._name} grew while it was being uploaded")


class StreamReading(Reading):
    """An async iterable, read once; its first chunks are looked at before anything is sent."""

    def __init__(self, stream: AsyncIterable[bytes], name: str, content_type: str | None) -> None:
        self._stream = stream
        self._chunks: AsyncIterator[bytes] | None = None
        self._name = name
        self._content_type = content_type
        self._head = b""

    @property
    def can_replay(self) -> bool:
        return bool(self._head)

    async def facts(self, *, measure: bool = True) -> AudioFacts:  # noqa: ARG002 - needs all of the audio
        self._chunks = aiter(self._stream)
        while len(self._head) < _HEAD and (chunk := await self._next()) is not None:
            self._head += chunk
        return _facts(self._head, None, self._content_type, None)

    async def blocks(self) -> AsyncGenerator[Block, None]:
        head, self._head = self._head, b""
        if not head:
            raise SourceConsumedError(f"{self._name} can't be rewound, and was read already")
        try:
            yield head
            while (chunk := await self._next()) is not None:
                yield chunk
        finally:
            # It can't be used for anything any more, and what it holds should not wait for the collector.
            close = getattr(self._chunks, "aclose", None)
            if close is not None:
                await close()

    async def _next(self) -> Block | None:
        try:
            chunk = await anext(cast("AsyncIterator[bytes]", self._chunks))
        except StopAsyncIteration:
            return None
        except Exception as error:
            raise AudioSourceError(f"{self._name} failed: {error!r}") from error
        return _checked(chunk, self._name)


class _BlockReader:
    """Reads blocks in threads, one at a time; closes after the last read, an abandoned one included."""

    def __init__(
        self, begin: Callable[[], BinaryIO], check: Callable[[BinaryIO], None], name: str, *, owned: bool
    ) -> None:
        self._begin = begin
        self._check = check
        self._name = name
        self._owned = owned
        self._lock = threading.Lock()
        self._file: BinaryIO | None = None
        self._closed = False

    def read(self, remaining: int | None) -> bytes:
        """Read the next block of what remains; check the file along with its last."""
        with self._lock, _reading_errors(self._name):
            if self._closed:
                return b""
            if self._file is None:
                self._file = self._begin()
            if remaining is None:
                return _read(self._file, BLOCK)
            block = _read(self._file, min(remaining, BLOCK))
            if len(block) < min(remaining, BLOCK):
                raise SourceChangedError(f"{self._name} shrank while it was being uploaded")
            if len(block) == remaining:
                self._check(self._file)
            return block

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if self._owned and self._file is not None:
                self._file.close()


async def _read_ahead(reader: _BlockReader, size: int | None, pool: ReadPool) -> AsyncGenerator[Block, None]:
    """Yield blocks, the next being read while the last is in use."""
    remaining = size
    pending = pool.begin(partial(reader.read, remaining))
    try:
        while block := await pending:
            if remaining is not None:
                remaining -= len(block)
            if remaining != 0:
                pending = pool.begin(partial(reader.read, remaining))
            yield block
            if remaining == 0:
                return
    finally:
        pending.cancel()
        pool.later(reader.close)


def _read(file: BinaryIO, count: int) -> bytes:
    """Read *count* bytes, or all that there are."""
    blocks = []
    while count > 0:
        block = file.read(count)
        if block is None:
            raise AudioSourceError("a non-blocking file, with nothing to read at the moment")
        if not block:
            break
        blocks.append(_checked(block, "its read()"))
        count -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def _checked(block: Any, name: str) -> bytes:
    """Take what a caller's object gave for bytes, if it is."""
    if not isinstance(block, bytes | bytearray | memoryview):
        raise InvalidUploadError("audio", f"{name} gave {type(block).__name__}, not bytes")
    return bytes(block)


def _facts(
    head: bytes | memoryview, size: int | None, content_type: str | None, whole: Callable[[], BinaryIO] | None
) -> AudioFacts:
    """Put together what the first bytes tell, and with *whole*, which opens the rest, the headers."""
    seconds = None
    if content_type is not None and declared_pcm(content_type):
        audio_format: str | None = "pcm"
        if size is not None:
            seconds = pcm_duration(content_type, size)
    else:
        audio_format = detect(head)
        if whole is not None and audio_format is not None:
            seconds = duration(whole())
    return AudioFacts(size, audio_format, content_type or media_type(audio_format), seconds)


def _buffered(file: BinaryIO | io.FileIO) -> BinaryIO:
    """Let a parser take its many small reads from memory, and leave the file open."""
    return open(file.fileno(), "rb", closefd=False)


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")


@contextmanager
def _reading_errors(name: str) -> Iterator[None]:
    """Turn what a file raises into the SDK's own error. ValueError is what a closed file object raises."""
    try:
        yield
    except SiliconFlowError:
        raise
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise AudioSourceError(f"{name} can't be read: {reason[:1].lower()}{reason[1:]}") from error
