"""A server that only counts: it reads a request's body and answers with a uri, as fast as Python can."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LENGTH = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ANSWER = b'{"uri":"speech:bench:account:random"}'


def _list(count: int) -> bytes:
    """Return an account's list, of as many voices."""
    listed = [
        {
            "model": "FunAudioLLM/CosyVoice2-0.5B",
            "customName": f"narrator-{number}",
            "text": "慢工出细活，再给我两分钟",
            "uri": f"speech:narrator-{number}:account:{number:020}",
        }
        for number in range(count)
    ]
    return json.dumps({"result": listed}, ensure_ascii=False).encode()


def _response(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


class Sink(asyncio.BufferedProtocol):
    """One connection, kept alive."""

    def __init__(self, latency: float, listed: bytes) -> None:
        self._latency = latency
        self._listed = listed
        self._buffer = memoryview(bytearray(1 << 20))
        self._head = b""
        self._remaining: int | None = None
        self._answer = _response(_ANSWER)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, _: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, count: int) -> None:
        if self._remaining is None:
            self._head += bytes(self._buffer[:count])
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._head, 0, end)
            self._answer = self._listed if self._head.startswith(b"GET") else _response(_ANSWER)
            self._remaining = int(length.group(1)) if length else 0
            count = len(self._head) - end - 4
            self._head = b""
        self._remaining -= count
        if self._remaining <= 0:
            self._remaining = None
            assert self._transport is not None
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, self._answer)
            else:
                self._transport.write(self._answer)


@contextmanager
def serving(latency: float = 0.0, certificate: Path | None = None, voices: int = 0) -> Iterator[int]:
    """Run it in a process of its own, and yield its port.

    Args:
        latency: Seconds after which it answers.
        certificate: A PEM file with a key and its certificate: it speaks TLS then.
        voices: How many it lists.
    """
    command = [
        sys.executable,
        __file__,
        str(latency),
        str(voices),
        *([str(certificate)] if certificate else []),
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        with server.stdout:
            yield int(server.stdout.readline())
    finally:
        server.terminate()
        server.wait()


async def main(latency: float, voices: int, certificate: str | None = None) -> None:
    """Serve on a free port, and say which."""
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    listed = _response(_list(voices))  # once: an account may have a million
    server = await asyncio.get_running_loop().create_server(
        lambda: Sink(latency, listed), "127.0.0.1", 0, ssl=context
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
