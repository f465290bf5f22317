"""The body of a request as aiohttp writes it: block by block, fresh for every attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager

import pybase64
from aiohttp import Payload
from aiohttp.abc import AbstractStreamWriter
from attrs import define, field

from siliconflow_voice.api.requests import Envelope
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.errors import SiliconFlowError

# Encoded to less than 128 KiB, for which malloc would fetch fresh memory, which is slow to touch.
_PIECE = 3 << 14

__all__ = ["RequestPayload", "Transfer"]


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
    _ended: asyncio.Event = field(factory=asyncio.Event)
    _writer: AbstractStreamWriter | None = None

    def position(self) -> int:
        """Return the bytes that have moved either way; bytes in a buffer have not."""
        transport = self._writer.transport if self._writer is not None else None
        waiting = transport.get_write_buffer_size() if transport is not None else 0
        return self.sent - waiting + self.received

    @asynccontextmanager
    async def writing(self, writer: AbstractStreamWriter) -> AsyncGenerator[None, None]:
        """Send a body, and know at the end that no byte of it waits in a buffer.

        A body that a connection's end finds in a buffer of ours has not been sent, and to know that spares
        the search for a voice which can't be there.
        """
        self._writer = writer
        self._ended.clear()
        if self.was_used is not None:
            # aiohttp's writers have it; its abstract one does not say so.
            self.reused = self.was_used(getattr(writer, "protocol", None))
        transport = writer.transport
        if transport is not None:
            # asyncio's TLS transports pause when they have *as much as* the limit, and would for ever at 0.
            encrypted = transport.get_extra_info("ssl_object") is not None
            transport.set_write_buffer_limits(high=1 if encrypted else 0, low=0)
        try:
            yield
            await writer.drain()
            self.body_sent = True
        except SiliconFlowError as error:
            self.error = error
            raise
        finally:
            if transport is not None:
                transport.set_write_buffer_limits()
                if not self.body_sent and transport.get_write_buffer_size():
                    # To close it would send what waits first, however long the service lets it wait.
                    transport.abort()
            self._ended.set()

    async def ended(self) -> None:
        """Wait until nothing is written any more: aiohttp cancels the task that writes, and doesn't wait."""
        if self._writer is not None:
            await self._ended.wait()


class RequestPayload(Payload):
    """An envelope, and the audio's blocks in it."""

    _autoclose = True  # the blocks are closed where they are read

    def __init__(
        self,
        envelope: Envelope,
        blocks: AsyncGenerator[Block, None] | None,
        size: int | None,
        transfer: Transfer,
    ) -> None:
        super().__init__(None, content_type=envelope.content_type)
        self._envelope = envelope
        self._blocks = blocks
        self._size = envelope.size(size)
        self._transfer = transfer

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - it is our size
        """Write all of it, as three parts: to join them first would cost more than to send them."""
        self._consumed = True
        transfer, envelope = self._transfer, self._envelope
        async with transfer.writing(writer):
            await _write(writer, envelope.prologue, transfer)
            if self._blocks is not None:
                audio = 0
                async with aclosing(self._blocks) as blocks:
                    async for block, taken in _encoded(blocks) if envelope.base64 else _plain(blocks):
                        await _write(writer, block, transfer)
                        audio += taken
                        if transfer.on_sent is not None:
                            transfer.on_sent(audio)
            if envelope.epilogue:
                await _write(writer, envelope.epilogue, transfer)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write all of it: the name that aiohttp had for it before 3.12."""
        await self.write_with_length(writer, None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002 - the base's
        """Raise TypeError: a body that is read while it is sent never exists as a string."""
        raise TypeError("a streamed body can't be decoded")


async def _write(writer: AbstractStreamWriter, block: Block, transfer: Transfer) -> None:
    """Write a block, and wait until nothing of it is in a buffer: its memory is to be used again."""
    transfer.sent += len(block)
    await writer.write(block)
    await writer.drain()


async def _plain(blocks: AsyncIterator[Block]) -> AsyncGenerator[tuple[Block, int], None]:
    async for block in blocks:
        yield block, len(block)


async def _encoded(blocks: AsyncIterator[Block]) -> AsyncGenerator[tuple[Block, int], None]:
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
