"""A server that does to a connection what a test says: aiohttp's own is too polite for that."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ssl import SSLContext

from attrs import define, field

Script = Callable[["Exchange"], Awaitable[None]]


@define
class Exchange:
    """One connection, from the server's side."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes = b""
    body: bytes = b""

    async def read_head(self) -> bytes:
        """Read a request's line and headers."""
        self.head = await self.reader.readuntil(b"\r\n\r\n")
        return self.head

    async def read_request(self) -> bytes:
        """Read a whole request; give its body, chunks put together."""
        head = (await self.read_head()).lower()
        if b"transfer-encoding: chunked" in head:
            parts = []
            while size := int((await self.reader.readuntil(b"\r\n")).strip(), 16):
                parts.append(await self.reader.readexactly(size))
                await self.reader.readexactly(2)
            await self.reader.readexactly(2)
            self.body = b"".join(parts)
        elif b"content-length: " in head:
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            self.body = await self.reader.readexactly(size)
        return self.body

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

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def raw_server(*scripts: Script, ssl: SSLContext | None = None) -> AsyncIterator[RawServer]:
    """Serve on a free port of loopback."""
    raw = RawServer(list(scripts))
    server = await asyncio.start_server(raw.connected, "127.0.0.1", 0, ssl=ssl)
    scheme = "http" if ssl is None else "https"
    host = "127.0.0.1" if ssl is None else "localhost"
    raw.base_url = f"{scheme}://{host}:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield raw
    finally:
        server.close()
        await raw.stop()
