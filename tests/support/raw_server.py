"""A server that does to a connection what a test says: aiohttp's own is too polite for that."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext
from typing import cast

from attrs import define, field

Script = Callable[["Exchange"], Awaitable[None]]


@define
class Exchange:
    """One connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    body: bytes = b""
    whole: bool = False
    """Whether all of the body was read."""

    async def read_head(self) -> bytes:
        """Read a request's line and headers."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    async def read_request(self) -> bytes:
        """Read a whole request; give its body, chunks put together."""
        await self.read_head()
        return await self.read_body()

    async def read_body(self, at_least: int | None = None) -> bytes:
        """Read the body after its head, or so many bytes of it; another call goes on from there."""
        head = self.head.lower()
        if b"transfer-encoding: chunked" in head:
            parts = [self.body]
            read = len(self.body)
            while not self.whole and (at_least is None or read < at_least):
                size = int((await self.reader.readuntil(b"\r\n")).strip(), 16)
                parts.append(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
                read += size
                self.whole = not size
            self.body = b"".join(parts)
        elif b"content-length: " in head:
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            wanted = size if at_least is None else min(at_least, size)
            self.body += await self.reader.readexactly(max(wanted - len(self.body), 0))
            self.whole = len(self.body) == size
        return self.body

    def stop_reading(self) -> None:
        """Leave in the kernel's buffer what comes from now on."""
        cast("asyncio.Transport", self.writer.transport).pause_reading()

    def read_on(self) -> None:
        """Undo that."""
        cast("asyncio.Transport", self.writer.transport).resume_reading()

    async def read_to_the_end(self) -> None:
        """Read on, until the client ends the connection."""
        self.read_on()
        while await self.reader.read(1 << 20):
            pass

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(
        self, body: bytes = b'{"uri":"speech:a:b:c"}', status: str = "200 OK", headers: str = ""
    ) -> None:
        """Send a whole answer."""
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        await self.send(head.encode() + body)

    def reset(self) -> None:
        """End with a TCP RST."""
        connection = self.writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@define
class RawServer:
    """Plays one script a connection; the last one again and again."""

    scripts: list[Script]
    base_url: str = ""
    exchanges: list[Exchange] = field(factory=list)
    _tasks: set[asyncio.Task[None]] = field(factory=set)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        script = self.scripts[min(len(self.exchanges), len(self.scripts) - 1)]
        exchange = Exchange(reader, writer)
        self.exchanges.append(exchange)
        try:
            await script(exchange)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has left, or the test is over
        finally:
            self._tasks.discard(task)
            writer.close()

    @property
    def port(self) -> int:
        return int(self.base_url.split(":")[2].split("/")[0])

    async def ended(self) -> None:
        """Wait until each script has ended."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def raw_server(
    *scripts: Script, ssl: SSLContext | None = None, receive_buffer: int | None = None
) -> AsyncIterator[RawServer]:
    """Serve on a free port of loopback, each connection's bytes waiting in a buffer of the given size."""
    raw = RawServer(list(scripts))
    # Of a socket whose protocol is not named, asyncio doesn't know that it may turn Nagle's algorithm off.
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    if receive_buffer is not None:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(raw.connected, sock=listening, ssl=ssl)
    scheme = "http" if ssl is None else "https"
    host = "127.0.0.1" if ssl is None else "localhost"
    raw.base_url = f"{scheme}://{host}:{listening.getsockname()[1]}/v1"
    try:
        yield raw
    finally:
        server.close()
        await raw.stop()
