"""Readings of files: by a path, opened anew for each attempt, and the caller's own."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import aclosing, contextmanager
from functools import partial
from typing import BinaryIO, TypeAlias, cast

from attrs import evolve

from siliconflow_voice.audio.blocks import Block, BlockReader, fill, read_ahead, reading_errors
from siliconflow_voice.audio.formats import AudioFacts, facts_of, facts_of_beginning, tells
from siliconflow_voice.audio.pool import BLOCK, MOST_HELD, STEP, ReadPool
from siliconflow_voice.audio.readings import HEAD, MOST_HEAD, Reading, read_once, sha256_of
from siliconflow_voice.errors import (
    AudioSourceError,
    InvalidUploadError,
    SourceChangedError,
    SourceConsumedError,
)

__all__ = ["OPEN", "FileReading", "PathReading", "kind_of"]

# O_NONBLOCK, or opening a FIFO would wait for a writer; it means nothing to a regular file.
OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class _Descriptor:
    """An open file, by its number alone: io.FileIO would look at it once more, for itself.

    Each such call lets go of the interpreter, and to get it back from a busy loop takes longer than to read.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    def readinto(self, view: memoryview) -> int:
        """Read once; return the number of bytes."""
        return os.readv(self._number, [view])


# Windows has no readv.
_raw = _Descriptor if hasattr(os, "readv") else partial(io.FileIO, closefd=False)

_Identity: TypeAlias = "tuple[int, int]"


class PathReading(Reading):
    """A regular file, opened anew for each attempt, and of the same size and time every time."""

    def __init__(self, path: str | bytes, name: str, content_type: str | None, pool: ReadPool) -> None:
        self._path = path
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._identity: _Identity | None = None
        self._held: memoryview | None = None

    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        inspect = partial(self._inspect, measure=measure, digest=digest)
        facts, held = await self._pool.begin(inspect)
        if held is not None:
            self._held = held
            self._pool.held += 1
        return facts

    async def blocks(self) -> AsyncGenerator[Block, None]:
        held, self._held = self._held, None
        if held is not None:
            self._pool.held -= 1
            yield held
            self._pool.give_back(cast("bytearray", held.obj))
            return
        reader = BlockReader(self._pool, self._name, begin=self._opened, check=self._check, owned=True)
        async with aclosing(read_ahead(reader, self._size, self._pool)) as blocks:
            async for block in blocks:
                yield block

    def wait(self) -> None:
        # To read it again takes a trip to a thread, and doubles what a short wait costs.
        if self._pool.held > MOST_HELD:
            self._let_go()

    async def close(self) -> None:
        self._let_go()

    @contextmanager
    def opened(self) -> Generator[BinaryIO, None, None]:
        """Open the file to read it at will, in a thread; it must be the same at the end.

        Raises:
            AudioSourceError: It can't be opened, or has changed.
        """
        with reading_errors(self._name):
            file = os.fdopen(self._open(), "rb")
        with file:
            yield file
            with reading_errors(self._name):
                self._check(file)

    def _let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            self._pool.held -= 1
            self._pool.give_back(cast("bytearray", held.obj))

    @property
    def _size(self) -> int:
        return cast("_Identity", self._identity)[0]

    def _inspect(self, *, measure: bool, digest: bool) -> tuple[AudioFacts, memoryview | None]:
        """Read the file, or the beginning of one that is larger than a buffer."""
        with reading_errors(self._name):
            descriptor = self._open()
            try:
                view = memoryview(self._pool.borrow())
                if self._size > BLOCK:
                    return self._inspect_large(descriptor, view, measure=measure, digest=digest), None
                held = view[: fill(_raw(descriptor), view[: self._size])]
                self._check_identity(os.fstat(descriptor))
            finally:
                os.close(descriptor)
            if len(held) != self._size:
                raise self._changed()
            facts = facts_of(held, self._size, self._content_type, None, measure=measure, most=self.largest)
            return evolve(facts, sha256=sha256_of(held)) if digest else facts, held

    def _inspect_large(self, descriptor: int, view: memoryview, *, measure: bool, digest: bool) -> AudioFacts:
        with io.FileIO(descriptor, closefd=False) as file:
            fill(file, view)
            whole = partial(_rewound, file)
            facts = facts_of(view, self._size, self._content_type, whole, measure=measure, most=self.largest)
            if digest:
                file.seek(len(view))
                facts = evolve(facts, sha256=sha256_of(view, file))
            self._check(file)
        self._pool.give_back(cast("bytearray", view.obj))
        return facts

    def _open(self) -> int:
        """Open the file, and return its descriptor; it is a regular one, and the same as before."""
        descriptor = self._descriptor()
        try:
            self._check_identity(os.fstat(descriptor))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _descriptor(self) -> int:
        return os.open(self._path, OPEN)

    def _opened(self) -> BinaryIO:
        return cast("BinaryIO", io.FileIO(self._open()))

    def _check(self, file: BinaryIO) -> None:
        self._check_identity(os.fstat(file.fileno()))

    def _check_identity(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise AudioSourceError(f"{self._name} is {kind_of(status.st_mode)}, not a regular file")
        # Not by device and inode: some mounts number a file anew each time that it is opened.
        identity = status.st_size, status.st_mtime_ns
        if self._identity is None:
            self._identity = identity
        elif identity != self._identity:
            raise self._changed()

    def _changed(self) -> SourceChangedError:
        return SourceChangedError(f"{self._name} changed while it was being uploaded")


class FileReading(Reading):
    """The caller's file object: from *start*, or if that is None from where it stands, and never closed.

    A small one is read in one trip and held until the upload has ended: a web framework closes the file of a
    handler that is cancelled, and a retry would find nothing.
    """

    def __init__(
        self,
        file: BinaryIO,
        name: str,
        content_type: str | None,
        pool: ReadPool,
        *,
        start: int | None,
        lock: threading.Lock,
    ) -> None:
        self._file = file
        self._lock = lock
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._start = start
        self._size: int | None = None
        self._head: bytes | None = None
        self._held: memoryview | None = None

    @property
    def can_replay(self) -> bool:
        return self._start is not None or self._head is not None

    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        return await self._pool.begin(partial(self._inspect, measure=measure, digest=digest))

    async def blocks(self) -> AsyncGenerator[Block, None]:
        if self._held is not None:
            for start in range(0, len(self._held), STEP):
                yield self._held[start : start + STEP]
            return
        if self._size is None:
            head, self._head = self._head, None
            if head is None:
                raise SourceConsumedError(f"{self._name} can't be rewound, and was read already")
            if head:
                yield head
        reader = BlockReader(
            self._pool,
            self._name,
            begin=lambda: self._file,
            check=self._check,
            owned=False,
            lock=self._lock,
            start=self._start,
        )
        async with aclosing(read_ahead(reader, self._size, self._pool)) as blocks:
            try:
                async for block in blocks:
                    yield block
            except AudioSourceError as error:
                if not getattr(self._file, "closed", False):
                    raise
                raise AudioSourceError(
                    f"{self._name} was closed during the upload, which reads it as it sends it, since it has "
                    f"more than {BLOCK:,} bytes or can't be rewound: keep it open until the upload has ended"
                ) from error

    async def close(self) -> None:
        self._held = None

    def _inspect(self, *, measure: bool, digest: bool) -> AudioFacts:
        with self._lock, reading_errors(self._name):
            head = memoryview(bytearray(HEAD))
            if self._start is None:
                if digest:
                    raise read_once(self._name)
                self._head = bytes(head[: fill(self._file, head)])
                wanted = HEAD
                if len(self._head) == HEAD and not tells(self._head, self._content_type):
                    wanted, more = MOST_HEAD, memoryview(bytearray(MOST_HEAD - HEAD))
                    self._head += more[: fill(self._file, more)]
                ended = len(self._head) < wanted
                return facts_of_beginning(self._head, self._content_type, ended=ended, measure=measure)
            self._file.seek(0, os.SEEK_END)
            self._size = max(self._file.tell() - self._start, 0)
            if not self._size and self._start:
                raise InvalidUploadError(
                    "audio", f"{self._name} is at its end: seek it to where the audio begins", rule="empty"
                )
            if self._size <= BLOCK:
                head = memoryview(bytearray(self._size))
            read = fill(self._rewound(), head[: self._size])
            if self._size <= BLOCK:
                if read < self._size:
                    raise SourceChangedError(f"{self._name} shrank while it was being read")
                self._held = head
            facts = facts_of(
                head[:read], self._size, self._content_type, self._rewound, measure=measure, most=self.largest
            )
            if digest:
                digested = sha256_of(b"", self._rewound()) if self._held is None else sha256_of(self._held)
                facts = evolve(facts, sha256=digested)
            self._rewound()  # where the caller has it, if nothing is sent
            return facts

    def _rewound(self) -> BinaryIO:
        self._file.seek(self._start or 0)
        return self._file

    def _check(self, file: BinaryIO) -> None:
        if file.read(1):
            raise SourceChangedError(f"{self._name} grew while it was being uploaded")


def _rewound(file: BinaryIO) -> BinaryIO:
    file.seek(0)
    return file


def kind_of(mode: int) -> str:
    """Return what a file is that is not a regular one."""
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "something else")
