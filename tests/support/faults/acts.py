"""What the server does at its moment."""

from __future__ import annotations

import asyncio
import socket
from functools import cache
from gzip import compress

from support.faults.stage import Act, Stage
from support.raw_server import Exchange

GOOD = b'{"uri":"speech:a:b:c"}'
HTML = b"<html><head><title>It works</title></head></html>"
_STEP = 4  # virtual seconds from one piece of a trickle to the next: less than a stall takes
_PIECES = 3  # and so many of them take longer than an attempt may


async def hang(_exchange: Exchange, _stage: Stage) -> None:
    """Do nothing more."""


async def fin(exchange: Exchange, _stage: Stage) -> None:
    """End the answers, and read on, as polite servers do."""
    exchange.writer.write_eof()
    await exchange.read_to_the_end()


async def deaf_fin(exchange: Exchange, _stage: Stage) -> None:
    """End the answers, and read nothing more."""
    exchange.writer.write_eof()


async def pause(_exchange: Exchange, _stage: Stage) -> None:
    """Let what comes next arrive by itself."""
    await asyncio.sleep(1)


async def rst(exchange: Exchange, _stage: Stage) -> None:
    exchange.reset()


async def trickling_reads(exchange: Exchange, _stage: Stage) -> None:
    exchange.read_on()
    for _ in range(_PIECES):
        await exchange.reader.readexactly(2 << 20)
        await asyncio.sleep(_STEP)


async def trickle(exchange: Exchange, _stage: Stage) -> None:
    for letter in b"HTTP"[:_PIECES]:
        await exchange.send(bytes([letter]))
        await asyncio.sleep(_STEP)


def sends(data: bytes) -> Act:
    async def act(exchange: Exchange, _stage: Stage) -> None:
        await exchange.send(data)

    return act


def answers(status: str, body: bytes = b"", headers: str = "") -> Act:
    async def act(exchange: Exchange, _stage: Stage) -> None:
        await exchange.answer(body, status, f"Content-Type: application/json\r\n{headers}")

    return act


def then(*acts: Act) -> Act:
    """Do one after the other."""

    async def act(exchange: Exchange, stage: Stage) -> None:
        for each in acts:
            await each(exchange, stage)

    return act


def in_headers(act: Act) -> Act:
    """Begin an answer, and break off within its headers."""
    return then(sends(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Trace"), act)


def in_body(act: Act, status: str = "200 OK") -> Act:
    """Begin an answer, and break off within its body."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(GOOD)}\r\n\r\n".encode()
    return then(sends(head + GOOD[:9]), act)


def chunked(*pieces: bytes, status: str = "200 OK") -> Act:
    """Answer with a body that is written as chunks, or as it ought to be."""
    return sends(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + b"".join(pieces))


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def go_on(exchange: Exchange, _stage: Stage) -> None:
    """Read the rest, and answer as the service does."""
    exchange.read_on()
    await (exchange.read_body() if exchange.head else exchange.read_request())
    await exchange.answer(GOOD)


def redirect(status: str) -> Act:
    async def act(exchange: Exchange, stage: Stage) -> None:
        await exchange.answer(b"", status, f"Location: {stage.elsewhere}/uploads/audio/voice\r\n")

    return act


@cache
def _bomb() -> bytes:
    return compress(bytes(16 << 20))


async def gzip_bomb(exchange: Exchange, _stage: Stage) -> None:
    await exchange.answer(_bomb(), headers="Content-Encoding: gzip\r\n")


async def endless(exchange: Exchange, _stage: Stage) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    try:
        while True:
            await exchange.send(chunk(bytes(1 << 16)))
    except ConnectionError:
        pass  # the client has heard enough


def in_handshake(act: Act) -> Act:
    """Hear the client's hello, begin the server's, and break off."""

    async def begun(exchange: Exchange, stage: Stage) -> None:
        header = await exchange.reader.readexactly(5)
        await exchange.reader.readexactly(int.from_bytes(header[3:]))
        await exchange.send(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03")
        await act(exchange, stage)

    return begun


async def no_such_name(stage: Stage) -> int:
    stage.consumed = True
    raise OSError(socket.EAI_NONAME, "Name or service not known")


async def silent_names(stage: Stage) -> int:
    stage.consumed = True
    await asyncio.Event().wait()
    raise AssertionError


async def wrong_port(stage: Stage) -> int:
    stage.consumed = True
    return stage.closed_port


async def faulty_server(stage: Stage) -> int:
    return stage.faulty_port
