"""Servers of recordings that do what a test says, and what may be fetched from them."""

from __future__ import annotations

from typing import Any

from siliconflow_voice import AudioSource, RemoteAudio
from support.raw_server import Exchange, RawServer, Script

__all__ = ["address", "allowed", "chunked", "cut", "redirect", "serving", "source"]


def serving(body: bytes, status: str = "200 OK", headers: str = "") -> Script:
    """Answer each request of a connection with the same."""

    async def script(exchange: Exchange) -> None:
        while True:
            await exchange.read_head()
            await exchange.answer(body, status, headers)

    return script


def redirect(location: str) -> Script:
    return serving(b"elsewhere", "302 Found", f"Location: {location}\r\nConnection: close\r\n")


def cut(body: bytes, at: int) -> Script:
    """Say that all of the body comes, and end the connection before."""

    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:at])

    return script


def chunked(body: bytes, size: int = 1 << 16) -> Script:
    """Send it without a word on its length."""

    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), size):
            piece = body[start : start + size]
            await exchange.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await exchange.send(b"0\r\n\r\n")

    return script


def address(server: RawServer, path: str = "/a.mp3") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def allowed(*servers: RawServer, **changes: Any) -> RemoteAudio:
    """Allow servers, which are on this machine."""
    hosts = [f"127.0.0.1:{server.port}" for server in servers]
    options: dict[str, Any] = {"hosts": hosts, "schemes": ["http"], "private": True}
    return RemoteAudio(**options | changes)


def source(server: RawServer, path: str = "/a.mp3", **changes: Any) -> AudioSource:
    return AudioSource.url(address(server, path), remote=allowed(server, **changes))
