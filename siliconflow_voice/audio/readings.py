"""One call's reading of a source: facts first, then the bytes, once for each attempt."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import BinaryIO

from attrs import evolve

from siliconflow_voice.audio.blocks import Block, checked
from siliconflow_voice.audio.formats import AudioFacts, facts_of, facts_of_beginning, tells
from siliconflow_voice.audio.pool import STEP, ReadPool
from siliconflow_voice.audio.wording import one_line
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError, SourceConsumedError

__all__ = ["HEAD", "MOST_HEAD", "BytesReading", "Reading", "StreamReading", "read_once", "sha256_of"]

logger = logging.getLogger("siliconflow_voice")

HEAD = 1 << 12
"""Bytes that are enough to tell most formats."""
MOST_HEAD = 1 << 16
"""Bytes that are read of a stream, before it is sent, to tell its format."""


class Reading(ABC):
    """Reads one source for one call. Not to be shared by calls."""

    most: int | None = None
    """Bytes that may be sent; None if that was checked before, or nobody cares."""

    largest: int | None = None
    """Bytes of a recording beyond which only its beginning is looked at: it is refused for its size."""

    @property
    def can_replay(self) -> bool:
        """Whether it can be read from the start: again, or for the first time."""
        return True

    @abstractmethod
    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        """Look at the audio before anything is sent.

        Args:
            measure: Whether to find out its duration.
            digest: Whether to read all of it for its SHA-256.

        Raises:
            AudioSourceError: It can't be read.
            InvalidUploadError: It is nothing that audio could be read from, or can't be read twice and is to
                be read for its digest.
        """

    @abstractmethod
    def blocks(self) -> AsyncGenerator[Block, None]:
        """Read it from the start, in blocks, each of which is valid until the next one is asked for."""

    async def bounded(self, most: int) -> AsyncGenerator[Block, None]:
        """Read it as :meth:`blocks` does, but no more than *most* bytes.

        Raises:
            InvalidUploadError: There are more.
        """
        count = 0
        async with aclosing(self.blocks()) as blocks:
            async for block in blocks:
                count += len(block)
                if count > most:
                    raise InvalidUploadError(
                        "audio", f"a stream of more than {most:,} bytes, which is the limit", rule="too_large"
                    )
                yield block

    def wait(self) -> None:  # noqa: B027 - most hold nothing
        """Called before a long wait: release memory, where many wait."""

    async def close(self) -> None:  # noqa: B027 - likewise
        """End the reading; it is of no use afterwards."""


class BytesReading(Reading):
    """Bytes in memory."""

    def __init__(
        self, data: bytes | bytearray | memoryview, content_type: str | None, pool: ReadPool
    ) -> None:
        try:
            self._view = memoryview(data).cast("B")
        except TypeError:
            raise InvalidUploadError("audio", "a memoryview that is not contiguous", rule="source") from None
        self._content_type = content_type
        self._pool = pool

    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        return await self._pool.look(self._view, partial(self._inspect, measure=measure, digest=digest))

    async def blocks(self) -> AsyncGenerator[Block, None]:
        for start in range(0, len(self._view), STEP):
            yield self._view[start : start + STEP]

    def _inspect(self, *, measure: bool, digest: bool) -> AudioFacts:
        view = self._view
        facts = facts_of(view, len(view), self._content_type, None, measure=measure, most=self.largest)
        return evolve(facts, sha256=sha256_of(view)) if digest else facts


class StreamReading(Reading):
    """An async iterable, read once; its first chunks are looked at before anything is sent."""

    def __init__(
        self, stream: AsyncIterable[bytes], name: str, content_type: str | None, pool: ReadPool
    ) -> None:
        try:
            self._chunks: AsyncIterator[bytes] = aiter(stream)
        except Exception as error:
            raise AudioSourceError(f"{name} failed: {one_line(repr(error))}") from error
        self._name = name
        self._content_type = content_type
        self._pool = pool
        self._head: bytes | None = b""

    @property
    def can_replay(self) -> bool:
        return self._head is not None

    async def facts(self, *, measure: bool = True, digest: bool = False) -> AudioFacts:
        if digest:
            raise read_once(self._name)
        head = bytearray()
        wanted, ended = HEAD, False
        while not ended and len(head) < wanted:
            chunk = await self._next()
            head += chunk or b""
            ended = chunk is None
            if wanted <= len(head) < MOST_HEAD and not await self._tells(bytes(head)):
                wanted = MOST_HEAD
        self._head = bytes(head)
        beginning = self._head if ended else self._head[:MOST_HEAD]
        looking = partial(facts_of_beginning, beginning, self._content_type, ended=ended, measure=measure)
        return await self._pool.look(beginning, looking)

    async def _tells(self, head: bytes) -> bool:
        return await self._pool.look(head, partial(tells, head, self._content_type))

    async def blocks(self) -> AsyncGenerator[Block, None]:
        head, self._head = self._head, None
        if head is None:
            raise SourceConsumedError(f"{self._name} can't be rewound, and was read already")
        try:
            yield head
            while (chunk := await self._next()) is not None:
                if chunk:
                    yield chunk
        finally:
            await self.close()

    async def close(self) -> None:
        # It is of no use to anybody any more, and what it holds should not wait for the collector.
        close = getattr(self._chunks, "aclose", None)
        # One that runs is being closed already, by whoever reads it.
        if close is not None and not getattr(self._chunks, "ag_running", False):
            try:
                await close()
            except Exception:
                logger.exception("%s failed as it was closed", self._name)

    async def _next(self) -> bytes | None:
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            return None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise AudioSourceError(f"{self._name} was cancelled") from error
        except Exception as error:
            raise AudioSourceError(f"{self._name} failed: {one_line(repr(error))}") from error
        return checked(chunk, self._name)


def read_once(name: str) -> InvalidUploadError:
    """Return the error of a source that can be read only once, and so has no digest before it is sent."""
    return InvalidUploadError(
        "audio",
        f"{name} can be read only once, and a journal needs its digest first: "
        f"pass a path, bytes or a seekable file",
        rule="source",
    )


def sha256_of(head: Block, rest: BinaryIO | None = None) -> str:
    """Compute the digest of what was read already, and of the rest of a file."""
    digest = hashlib.sha256(head)
    while rest is not None and (piece := checked(rest.read(STEP), "its read()")):
        digest.update(piece)
    return digest.hexdigest()
