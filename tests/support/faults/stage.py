"""Where and when a fault is played, and what is noted of it."""

from __future__ import annotations

import asyncio
import enum
import socket
from collections.abc import Awaitable, Callable

import aiohttp
from attrs import define, field

from support.raw_server import Exchange, Script

BEGINNING = 100_000  # bytes of the body after which a fault strikes within it


class Moment(enum.Enum):
    """When a fault strikes."""

    CONNECT = "To connect"
    HANDSHAKE = "In the TLS handshake"
    ACCEPT = "Before the headers are read"
    BODY = "Within the body"
    AFTER = "After the body"
    HEADERS = "In the answer's headers"
    ANSWER = "In the answer's body"


@define
class Stage:
    """What scripts find around them, and take down."""

    elsewhere: str
    """Another origin, which nothing must reach."""
    closed_port: int
    """A port at which nobody listens."""
    faulty_port: int = 0
    """A server's that is met before the one that is well."""
    consumed: bool = False
    """Whether the fault was played to its point."""
    released: asyncio.Event = field(factory=asyncio.Event)
    """Set when the client is done."""

    def consume(self) -> None:
        self.consumed = True


Act = Callable[[Exchange, Stage], Awaitable[None]]
Lookup = Callable[[Stage], Awaitable[int]]
"""Gives the port to connect to in place of the server's, or fails."""


async def reach(exchange: Exchange, moment: Moment) -> None:
    """Let a request come as far as that."""
    match moment:
        case Moment.ACCEPT:
            exchange.stop_reading()
        case Moment.BODY:
            await exchange.read_head()
            await exchange.read_body(BEGINNING)
        case Moment.AFTER | Moment.HEADERS | Moment.ANSWER:
            await exchange.read_request()
        case _:
            return
    # Virtual seconds, at whose end the client has done all that it can: its buffers are full.
    await asyncio.sleep(1)


def faulty(act: Act, moment: Moment, stage: Stage) -> Script:
    """Play a fault, and then see the client leave."""

    async def script(exchange: Exchange) -> None:
        await reach(exchange, moment)
        await act(exchange, stage)
        stage.consumed = True
        await left(exchange, stage)

    return script


def well(stage: Stage) -> Script:
    """Answer as the service does."""

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer()
        await left(exchange, stage)

    return script


async def left(exchange: Exchange, stage: Stage) -> None:
    """Hold the connection until the client is done, and then read on until it ends from the other side."""
    await stage.released.wait()
    await exchange.read_to_the_end()


@define
class Names(aiohttp.abc.AbstractResolver):
    """Finds every name on loopback; the first search may fail, or lead to another port."""

    stage: Stage
    lookup: Lookup | None
    searches: int = 0

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        self.searches += 1
        if self.lookup is not None and self.searches == 1:
            port = await self.lookup(self.stage)
        return [
            aiohttp.abc.ResolveResult(
                hostname=host,
                host="127.0.0.1",
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        pass
