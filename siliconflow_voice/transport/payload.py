"""The body of a request as aiohttp writes it: block by block, fresh for every attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing

import pybase64
from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter
from attrs import define

from siliconflow_voice.api.requests import Envelope
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.audio.pool import followed_by
from siliconflow_voice.errors import SiliconFlowError

# Encoded to less than 128 KiB, for which malloc would fetch fresh memory, which is slow to touch; and so
# that thirty-two uploads' pieces, sent in one turn of the loop, hold it up for less than 10 ms.
_PIECE = 60 << 10

__all__ = ["RequestPayload", "Section", "Transfer"]


@define
class Transfer:
    """How far one attempt has got, which decides what its failure means."""

    on_sent: Callable[[int], None] | None = None
    """Called with the bytes of audio handed over so far."""
    was_used: Callable[[object], bool] | None = None
    """Returns whether a connection was used before."""
    reused: bool = False
    """Whether this attempt's connection was used before: it may have been closed while it was idle."""
    sent: int = 0
    """Bytes of the body handed to the connection."""
    received: int = 0
    """Bytes of the answer's body."""
    body_sent: bool = False
    """Whether the operating system has all of the body (with TLS: all but what its buffers hold, so that it
    may be true too early, never too late): from here on, the service may have it."""
    error: SiliconFlowError | None = None
    """The failure of the audio's source, which aiohttp would wrap."""
    _writer: AbstractStreamWriter | None = None
    _transport: asyncio.WriteTransport | None = None
    _under_way: bool = False
    _ended: asyncio.Future[None] | None = None

    def position(self) -> int:
        """Return the bytes that have moved either way; bytes in a buffer have not."""
        transport = self._writer.transport if self._writer is not None else None
        waiting = transport.get_write_buffer_size() if transport is not None else 0
        return self.sent - waiting + self.received

    def begin(self, writer: AbstractStreamWriter) -> None:
        """Note that a body is being written, and let no byte of it wait in a buffer of ours."""
        self._writer = writer
        self._under_way = True
        if self.was_used is not None:
            # aiohttp's writers have it; its abstract one does not say so.
            self.reused = self.was_used(getattr(writer, "protocol", None))
        # Kept, since aiohttp's writer forgets it as soon as the connection is closed.
        transport = self._transport = writer.transport
        if transport is not None:
            # asyncio's TLS transports pause when they have *as much as* the limit, and would for ever at 0.
            encrypted = transport.get_extra_info("ssl_object") is not None
            transport.set_write_buffer_limits(high=1 if encrypted else 0, low=0)

    def end(self) -> None:
        """Note that nothing is written any more, whether or not all of the body was.

        A body that a connection's end finds in a buffer of ours has not been sent, and to know that spares
        the search for a voice which can't be there.
        """
        transport = self._transport
        if transport is not None:
            transport.set_write_buffer_limits()
            if not self.body_sent and transport.get_write_buffer_size():
                # To close it would send what waits first, however long the service lets it wait.
                transport.abort()
        self._under_way = False
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)

    async def ended(self) -> None:
        """Wait until nothing is written any more: aiohttp cancels the task that writes, and doesn't wait."""
        if self._under_way:
            self._ended = asyncio.get_running_loop().create_future()
            await self._ended


@define
class Section:
    """A part of a body: an envelope, and the blocks of the audio in it."""

    envelope: Envelope
    blocks: AsyncGenerator[Block, None] | None
    audio: int | None
    """Bytes of the audio; None if that is not known."""


class RequestPayload(Payload):
    """An envelope, and the audio's blocks in it; then any further ones, each with blocks of its own."""

    _autoclose = True  # the blocks are closed where they are read

    def __init__(
        self,
        envelope: Envelope,
        blocks: AsyncGenerator[Block, None] | None,
        size: int | None,
        transfer: Transfer,
        further: Sequence[Section] = (),
    ) -> None:
        super().__init__(None, content_type=envelope.content_type)
        self._sections = [Section(envelope, blocks, size), *further]
        sizes = [section.envelope.size(section.audio) for section in self._sections]
        self._size = None if None in sizes else sum(size for size in sizes if size is not None)
        self._transfer = transfer

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - it is our size
        """Write all of it, in parts: to join them first would cost more than to send them."""
        self._consumed = True
        transfer = self._transfer
        transfer.begin(writer)
        try:
            for section in self._sections:
                await self._write_section(writer, section)
            await writer.drain()
            transfer.body_sent = True
        except SiliconFlowError as error:
            transfer.error = error
            raise
        finally:
            transfer.end()

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it: the name that aiohttp had for it before 3.12."""
        await self.write_with_length(writer, None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the base's
        """Raise TypeError: a body that is read while it is sent never exists as a string."""
        raise TypeError("a streamed body can't be decoded")

    async def _write_section(self, writer: AbstractStreamWriter, section: Section) -> None:
        await self._write(writer, section.envelope.prologue)
        epilogue = section.envelope.epilogue
        if section.blocks is not None:
            async with aclosing(section.blocks) as blocks:
                write = self._write_encoded if section.envelope.base64 else self._write_plain
                epilogue = await write(writer, blocks, section)
        if epilogue:
            await self._write(writer, epilogue)

    async def _write_plain(
        self, writer: AbstractStreamWriter, blocks: AsyncIterator[Block], section: Section
    ) -> bytes:
        """Write the audio and, along with its last block, the epilogue; return what is left of that."""
        audio, epilogue = 0, section.envelope.epilogue
        async for block in blocks:
            audio += len(block)
            whole = followed_by(block, epilogue) if audio == section.audio else None
            await self._write(writer, block if whole is None else whole, audio)
            if whole is not None:
                epilogue = b""
        return epilogue

    async def _write_encoded(
        self, writer: AbstractStreamWriter, blocks: AsyncIterator[Block], section: Section
    ) -> bytes:
        audio, epilogue = 0, section.envelope.epilogue
        async for encoded, taken in _encoded(blocks):
            audio += taken
            # To join these costs less than to send them one after the other.
            tail, epilogue = (epilogue, b"") if audio == section.audio else (b"", epilogue)
            await self._write(writer, encoded + tail, audio)
        return epilogue

    async def _write(self, writer: AbstractStreamWriter, block: Block, audio: int = 0) -> None:
        """Write a block, and wait until nothing of it is in a buffer: its memory is to be used again."""
        transfer = self._transfer
        transfer.sent += len(block)
        await writer.write(block)
        await writer.drain()
        if audio and transfer.on_sent is not None:
            transfer.on_sent(audio)


async def _encoded(blocks: AsyncIterator[Block]) -> AsyncGenerator[tuple[bytes, int], None]:
    """Encode to base64, holding back what doesn't fill a group of three bytes until there is more."""
    rest = b""
    async for block in blocks:
        view = memoryview(block)
        if rest:
            filling = 3 - len(rest)
            rest, view = rest + bytes(view[:filling]), view[filling:]
            if len(rest) < 3:
                continue
            yield pybase64.b64encode(rest), 3
        size = len(view) - len(view) % 3
        for start in range(0, size, _PIECE):
            piece = view[start : min(start + _PIECE, size)]
            yield pybase64.b64encode(piece), len(piece)
        rest = bytes(view[size:])
    if rest:
        yield pybase64.b64encode(rest), len(rest)
