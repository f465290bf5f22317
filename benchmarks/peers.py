"""What is compared: the SDK, the least that aiohttp can do, and what users write with other clients."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import aiohttp
import httpx
import openai
from aiohttp.abc import AbstractStreamWriter

from siliconflow_voice import Throttle, VoiceClient
from siliconflow_voice.api.requests import upload_voice

__all__ = ["AT_ONCE", "PEERS", "Upload"]

AT_ONCE = 32

_MODEL, _NAME, _TEXT = "FunAudioLLM/CosyVoice2-0.5B", "bench", "慢工出细活"
_FIELDS = {"model": _MODEL, "customName": _NAME, "text": _TEXT}
_PATH = "uploads/audio/voice"

Upload = Callable[[Path], Awaitable[object]]


@asynccontextmanager
async def _session(tls: ssl.SSLContext | None) -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0, ssl=tls or True)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session


@asynccontextmanager
async def _ours(
    encoding: Literal["multipart", "base64"], base: str, tls: ssl.SSLContext | None
) -> AsyncIterator[Upload]:
    """Have the SDK as users have it: all checks, retries and the throttle on."""
    async with AsyncExitStack() as stack:
        session = None if tls is None else await stack.enter_async_context(_session(tls))
        throttle = Throttle(max_concurrency=AT_ONCE)
        client = VoiceClient("sk-test", base_url=base, throttle=throttle, session=session)
        await stack.enter_async_context(client)
        yield lambda path: client.upload_voice(path, custom_name=_NAME, text=_TEXT, encoding=encoding)


class _Body(aiohttp.Payload):
    """The body that the SDK sends, with nothing above it: three writes, each drained."""

    _consumed = False

    def __init__(self, parts: tuple[bytes, memoryview, bytes], content_type: str) -> None:
        super().__init__(None, content_type=content_type)
        self._parts = parts
        self._size = sum(map(len, parts))

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002 - it is our size
        transport = writer.transport
        assert transport is not None
        # The buffer is used again, so that nothing of it may wait in the connection.
        encrypted = transport.get_extra_info("ssl_object") is not None
        transport.set_write_buffer_limits(high=1 if encrypted else 0, low=0)
        for part in self._parts:
            await writer.write(part)
            await writer.drain()

    async def write(self, writer: AbstractStreamWriter) -> None:
        await self.write_with_length(writer, None)

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        raise NotImplementedError


@asynccontextmanager
async def _bare(base: str, tls: ssl.SSLContext | None) -> AsyncIterator[Upload]:
    """Do the least that sends this body with aiohttp and reads files off the loop: one trip to a thread."""
    envelope = upload_voice(
        model=_MODEL,
        custom_name=_NAME,
        text=_TEXT,
        encoding="multipart",
        media_type="audio/wav",
        extension="wav",
    ).envelope
    assert envelope is not None
    headers = {"Authorization": "Bearer sk-test", "Content-Type": envelope.content_type}
    loop, buffers = asyncio.get_running_loop(), [bytearray(1 << 20) for _ in range(AT_ONCE)]

    def read(path: Path, buffer: bytearray) -> memoryview:
        with path.open("rb", buffering=0) as file:
            return memoryview(buffer)[: file.readinto(buffer)]

    with ThreadPoolExecutor(4) as threads:
        async with _session(tls) as session:

            async def upload(path: Path) -> None:
                buffer = buffers.pop()
                audio = await loop.run_in_executor(threads, read, path, buffer)
                body = _Body((envelope.prologue, audio, envelope.epilogue), envelope.content_type)
                async with session.post(f"{base}/{_PATH}", data=body, headers=headers) as response:
                    assert response.status == 200
                    json.loads(await response.read())
                buffers.append(buffer)

            yield upload


@asynccontextmanager
async def _form(base: str, tls: ssl.SSLContext | None) -> AsyncIterator[Upload]:
    """Write what aiohttp's users write: FormData with an open file."""
    async with _session(tls) as session:

        async def upload(path: Path) -> None:
            form = aiohttp.FormData(_FIELDS)
            with path.open("rb") as file:
                form.add_field("file", file, filename="a.wav", content_type="audio/wav")
                async with session.post(f"{base}/{_PATH}", data=form) as response:
                    assert response.status == 200
                    await response.json()

        yield upload


@asynccontextmanager
async def _json(base: str, tls: ssl.SSLContext | None) -> AsyncIterator[Upload]:
    """Write what aiohttp's users write for base64."""
    async with _session(tls) as session:

        async def upload(path: Path) -> None:
            audio = base64.b64encode(path.read_bytes()).decode()  # noqa: ASYNC240 - as it is commonly written
            document = {**_FIELDS, "audio": f"data:audio/wav;base64,{audio}"}
            async with session.post(f"{base}/{_PATH}", json=document) as response:
                assert response.status == 200
                await response.json()

        yield upload


@asynccontextmanager
async def _httpx(base: str, tls: ssl.SSLContext | None) -> AsyncIterator[Upload]:
    """Write what httpx's users write: an open file."""
    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, trust_env=False, verify=tls or True) as client:

        async def upload(path: Path) -> None:
            with path.open("rb") as file:
                response = await client.post(
                    f"{base}/{_PATH}", data=_FIELDS, files={"file": ("a.wav", file, "audio/wav")}
                )
            assert response.status_code == 200
            response.json()

        yield upload


@asynccontextmanager
async def _openai(base: str, tls: ssl.SSLContext | None) -> AsyncIterator[Upload]:
    """Use openai's client, as SiliconFlow's own guide does."""
    http_client = openai.DefaultAsyncHttpxClient(verify=tls or True, trust_env=False)
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=base, http_client=http_client) as client:

        async def upload(path: Path) -> None:
            audio = path.read_bytes()  # noqa: ASYNC240 - as it is commonly written
            await client.post(f"/{_PATH}", cast_to=object, body=_FIELDS, files={"file": ("a.wav", audio)})

        yield upload


PEERS: dict[str, Callable[[str, ssl.SSLContext | None], AbstractAsyncContextManager[Upload]]] = {
    "multipart": partial(_ours, "multipart"),
    "base64": partial(_ours, "base64"),
    "bare": _bare,
    "FormData": _form,
    "json=": _json,
    "httpx": _httpx,
    "openai": _openai,
}
"""Each by its name: entered with an address and perhaps a TLS context, it yields how it uploads a file."""
