"""How answers and faults reach the connection: whole, in part, slowly, or by its end."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import sys
from typing import TYPE_CHECKING, cast

from aiohttp import web

from siliconflow_voice.emulator.uploads import CHUNK_BYTES, MALFORMED

if TYPE_CHECKING:
    from siliconflow_voice.emulator.answers import Answer

__all__ = [
    "IdleConnections",
    "drop",
    "has_left",
    "hold",
    "read_body",
    "reset",
    "send",
    "stall",
    "stream",
    "trickle",
    "truncate",
]

_LOOK_AGAIN_SECONDS = 0.05
# POLLRDHUP is Linux's: the other side has closed, though data is still unread. Elsewhere POLLHUP must do.
_GONE: int = sum(getattr(select, name, 0) for name in ("POLLHUP", "POLLERR", "POLLRDHUP"))
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


async def read_body(request: web.Request, limit: float) -> None:
    """Read ``limit`` bytes of the body, or all of it if it is shorter or breaks off."""
    left = limit
    with contextlib.suppress(*MALFORMED):
        while left > 0 and (chunk := await request.content.read(int(min(left, CHUNK_BYTES)))):
            left -= len(chunk)


def drop(transport: asyncio.Transport) -> web.Response:
    """Close the connection; the response that is returned is not sent."""
    transport.close()
    return web.Response()


def reset(transport: asyncio.Transport) -> web.Response:
    """Reset the connection, so that the client sees an error instead of an end."""
    if (sock := _socket_of(transport)) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
    return web.Response()


async def hold(transport: asyncio.Transport) -> web.Response:
    """Keep the connection open and unread until the client leaves."""
    # The loop does not watch a connection that is not read.
    while not has_left(transport):  # noqa: ASYNC110 - nothing would set an event
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    transport.abort()
    return web.Response()


def has_left(transport: asyncio.Transport) -> bool:
    """Return whether the client has closed or reset the connection, as far as that can be known."""
    sock = _socket_of(transport)
    if sock is None or not hasattr(select, "poll"):  # Windows is without it
        return False
    poll = select.poll()
    poll.register(sock.fileno(), _GONE)
    return bool(poll.poll(0))


class IdleConnections:
    """The connections that are to be closed once they have been idle for some time."""

    def __init__(self) -> None:
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def close_after(self, transport: asyncio.Transport, seconds: float) -> None:
        """Close it then, or at once, unless a request is noted before."""
        if not seconds:
            transport.close()
            return
        loop = asyncio.get_running_loop()
        self._timers[transport] = loop.call_later(seconds, self._close, transport)

    def note_request(self, transport: asyncio.Transport) -> None:
        """Leave it open: a request has come."""
        if timer := self._timers.pop(transport, None):
            timer.cancel()

    def _close(self, transport: asyncio.Transport) -> None:
        del self._timers[transport]
        transport.close()


async def send(request: web.Request, answer: Answer, trace_id: str) -> web.StreamResponse:
    """Send the whole answer now, not when the handler returns."""
    response = answer.response(trace_id)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write_eof()
    return response


async def stream(
    request: web.Request, answer: Answer, trace_id: str, *, first_after: float, pause: float
) -> web.StreamResponse:
    """Send an answer in its chunks, the first after *first_after* seconds, with pauses in between."""
    response = _announce(answer, trace_id)
    size = answer.chunk_bytes or len(answer.body)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await asyncio.sleep(first_after)
        for start in range(0, len(answer.body), size):
            if start and pause:
                await asyncio.sleep(pause)
            await response.write(answer.body[start : start + size])
        await response.write_eof()
    return response


async def stall(request: web.Request, answer: Answer, trace_id: str, keep_bytes: int) -> web.StreamResponse:
    """Announce the whole answer, send ``keep_bytes`` of its body, and hold the connection."""
    response = _announce(answer, trace_id)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(answer.body[:keep_bytes])
        await hold(transport_of(request))
    return response  # pragma: no cover - mostly the handler is cancelled, as the client leaves


async def truncate(
    request: web.Request, answer: Answer, trace_id: str, keep_bytes: int
) -> web.StreamResponse:
    """Announce the whole answer, send ``keep_bytes`` of its body, and close the connection."""
    response = _announce(answer, trace_id)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        await response.write(answer.body[:keep_bytes])
        transport_of(request).close()
    return response


async def trickle(
    request: web.Request, answer: Answer, trace_id: str, seconds_per_byte: float
) -> web.StreamResponse:
    """Send the headers at once, and the body one byte every ``seconds_per_byte``."""
    response = _announce(answer, trace_id)
    with contextlib.suppress(ConnectionError):
        await response.prepare(request)
        for byte in answer.body:
            await asyncio.sleep(seconds_per_byte)
            await response.write(bytes([byte]))
    return response


def transport_of(request: web.Request) -> asyncio.Transport:
    """Return the request's connection, which is open: aiohttp cancels the handlers of lost connections."""
    return cast("asyncio.Transport", request.transport)


def _announce(answer: Answer, trace_id: str) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers_with(trace_id))
    if answer.chunk_bytes is None:
        response.content_length = len(answer.body)
    else:
        response.enable_chunked_encoding()
    return response


def _socket_of(transport: asyncio.Transport) -> socket.socket | None:
    # A transport in memory, as a simulated network has them, is without one.
    return cast("socket.socket | None", transport.get_extra_info("socket"))
