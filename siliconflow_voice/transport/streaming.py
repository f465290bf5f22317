"""An answer that is handed out while it arrives: in constant memory, and never short without an error."""

from __future__ import annotations

import asyncio
import codecs
import re
from collections.abc import Iterator

import aiohttp
from attrs import define, field

from siliconflow_voice.api.answers import Answer, Inflater
from siliconflow_voice.errors import APIConnectionError, APITimeoutError
from siliconflow_voice.transport.payload import Transfer
from siliconflow_voice.transport.session import Connection
from siliconflow_voice.transport.translation import translate

__all__ = ["AudioStream", "headers_of", "is_text"]

_PIECE = 1 << 16
# Enough to tell audio from text: the longest beginning of a format.
_BEGINNING = 4
_TEXT_TYPE = re.compile(r"\s*(?:text/|application/(?:[\w.+-]*\+)?(?:json|xml|problem)\b)", re.IGNORECASE)
_BEGINS_AS_TEXT = re.compile(rb"\s*[{\[\"<]")
_decoder = codecs.getincrementaldecoder("utf-8")
_NEVER_IN_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


def is_text(response: aiohttp.ClientResponse) -> bool:
    """Return whether an answer says that it is not audio: by its status, or by its content type."""
    return response.status >= 300 or bool(_TEXT_TYPE.match(response.headers.get("content-type", "")))


def headers_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    """Return an answer's headers, with their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


@define(eq=False)
class AudioStream:
    """The body of an answer whose first bytes have come.

    Only the time that is spent waiting for the service counts: however slow its reader is, it does not run
    into a bound. What is not read stays in the connection, so that the service waits.
    """

    answer: Answer
    """Its status and headers."""
    _response: aiohttp.ClientResponse
    _transfer: Transfer
    _connection: Connection
    _host: str
    _stall: float | None
    """Seconds that may pass without a byte."""
    left: float | None = field(default=None, init=False)
    """Seconds of waiting that are left of the attempt, or None."""
    _inflater: Inflater = field(init=False)
    _pieces: Iterator[bytes] = field(default=iter(()), init=False)
    _beginning: bytes = field(default=b"", init=False)

    def __attrs_post_init__(self) -> None:
        self._inflater = Inflater(self._response.headers.get("content-encoding", ""))

    @property
    def beginning(self) -> bytes:
        """The first bytes, until they are handed out."""
        return self._beginning

    @property
    def received(self) -> int:
        """Bytes that have come."""
        return self._transfer.received

    async def begin(self, limit: int) -> bytes | None:
        """Wait for the first bytes; return all of the body if it is empty, or text whatever it is called.

        Args:
            limit: Bytes of text after which the rest is not read.
        """
        head = bytearray()
        while len(head) <= limit:
            piece = await self._piece()
            head += piece
            if not piece:
                if not head or _may_be_text(head, ended=True):
                    return bytes(head)
                break
            if len(head) >= _BEGINNING and not _may_be_text(head, ended=False):
                break
        else:
            return bytes(head)
        self._beginning = bytes(head)
        return None

    async def next(self) -> bytes | APIConnectionError:
        """Return the next bytes, none at the end, or the error that stands for what came instead."""
        beginning, self._beginning = self._beginning, b""
        if beginning:
            return beginning
        loop = asyncio.get_running_loop()
        began = loop.time()
        bounds = [seconds for seconds in (self._stall, self.left) if seconds is not None]
        scope = asyncio.timeout(max(min(bounds), 0.0) if bounds else None)
        try:
            async with scope:
                return await self._piece()
        except (aiohttp.ClientError, OSError, RuntimeError) as problem:
            # A RuntimeError: aiohttp's, of a connection that was closed on this side.
            if isinstance(problem, TimeoutError) and scope.expired():
                return self._late()
            return self._cut(problem)
        finally:
            if self.left is not None:
                self.left -= loop.time() - began

    def close(self) -> None:
        """End the connection, unless all of the body was read: then it is used again."""
        self._response.close()

    async def _piece(self) -> bytes:
        # Buffered data comes without a turn of the loop, and so does what was compressed to almost nothing.
        await asyncio.sleep(0)
        piece = self._inflated()
        while not piece:
            chunk = await self._response.content.readany()
            if not chunk:
                return b""
            self._transfer.received += len(chunk)
            self._pieces = self._inflater.feed(chunk, _PIECE)
            piece = self._inflated()
        return piece

    def _inflated(self) -> bytes:
        """Return the next bytes of what has come, if there are any."""
        try:
            return next(self._pieces, b"")
        except ValueError as error:
            raise aiohttp.ClientPayloadError(str(error)) from None

    def _late(self) -> APITimeoutError:
        if self._stall is not None and (self.left is None or self._stall <= self.left):
            reason, bound = f"no byte came for {self._stall:g} s", "Timeouts.stall"
        else:
            reason, bound = "waiting for it took too long", "Timeouts.attempt or RetryPolicy.deadline"
        return APITimeoutError(
            f"The stream was given up after {self.received:,} bytes: {reason} (the bound is {bound})"
        )

    def _cut(self, problem: BaseException) -> APIConnectionError:
        reason = "the client was closed"
        if not self._connection.closed:
            reason = translate(problem, self._host).message
        return APIConnectionError(f"The stream was cut off after {self.received:,} bytes: {reason}")


def _may_be_text(head: bytearray, *, ended: bool) -> bool:
    """Return whether a body so far reads as JSON or a web page, which no audio does."""
    if not _BEGINS_AS_TEXT.match(head):
        return False
    try:
        text = _decoder().decode(head, final=ended)
    except UnicodeDecodeError:
        return False
    return _NEVER_IN_TEXT.search(text) is None
