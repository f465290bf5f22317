from __future__ import annotations

import asyncio
import functools
import io
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import aiofiles
import aiohttp
import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from starlette.datastructures import UploadFile
from support.recordings import MP3, SPEECH

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import AudioSource, BytesSource, FileSource, StreamSource
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError

LINELESS = bytes(100_000) + b"end"


async def everything(audio: Any, pool: ReadPool) -> bytes:
    reading = AudioSource.of(audio).reading(pool)
    await reading.facts()
    return b"".join([bytes(block) async for block in reading.blocks()])


class Reads:
    """Reads asynchronously, and yields lines, as asyncio's and aiohttp's readers do."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    async def read(self, count: int = -1) -> bytes:
        return self.file.read(count)

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise AssertionError("it was iterated")


class PassesOn(Reads):
    """Has a read that doesn't look like a coroutine function."""

    def read(self, count: int = -1) -> Any:
        return super().read(count)


class Partial(Reads):
    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.read = functools.partial(super().read)  # type: ignore[method-assign] # as wrappers do


class OnlyReads:
    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    async def read(self, count: int) -> bytes:
        return self._file.read(count)


class ReadsAll:
    """Its read accepts no number, so that it can only be iterated."""

    async def read(self) -> bytes:
        raise AssertionError("it was read")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield LINELESS


class ReadsInTheWay(ReadsAll):
    """Its read would hold up the event loop."""

    def read(self, count: int = -1) -> bytes:  # type: ignore[override] # it isn't one
        assert count == 0
        return b""


class BuiltIn:
    """Its read doesn't tell what it accepts."""

    read = print

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield LINELESS


@pytest.mark.parametrize("kind", [Reads, PassesOn, Partial, OnlyReads])
async def test_what_has_a_read_to_await_is_read_by_it(pool: ReadPool, kind: Any) -> None:
    assert await everything(kind(LINELESS), pool) == LINELESS


@pytest.mark.parametrize("kind", [ReadsAll, ReadsInTheWay])
async def test_what_has_none_is_iterated(pool: ReadPool, kind: Any) -> None:
    assert await everything(kind(), pool) == LINELESS


async def test_a_read_that_does_not_tell_what_it_accepts_is_tried(pool: ReadPool) -> None:
    assert await everything(BuiltIn(), pool) == LINELESS


async def test_asyncios_reader_is_read(pool: ReadPool) -> None:
    reader = asyncio.StreamReader(limit=1_000)
    reader.feed_data(LINELESS)
    reader.feed_eof()
    assert await everything(reader, pool) == LINELESS


async def test_a_file_of_aiofiles_is_read(pool: ReadPool) -> None:
    async with aiofiles.open(MP3, "rb") as file:
        assert await everything(file, pool) == SPEECH


async def test_a_file_of_aiofiles_opened_as_text_is_refused(pool: ReadPool) -> None:
    async with aiofiles.open(__file__) as file:
        with pytest.raises(InvalidUploadError, match="audio stream gave str, not bytes"):
            await everything(file, pool)


async def test_a_response_of_aiohttp_is_read(pool: ReadPool) -> None:
    async def serve(request: web.Request) -> web.Response:
        return web.Response(body=LINELESS)

    app = web.Application()
    app.router.add_get("/", serve)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        async with session.get(server.make_url("/")) as response:
            assert await everything(response, pool) == LINELESS
        async with session.get(server.make_url("/")) as response:
            assert await everything(response.content, pool) == LINELESS


async def body() -> AsyncIterator[bytes]:
    yield LINELESS[:50_000]
    yield LINELESS[50_000:]


@pytest.mark.parametrize("read_before", [True, False])
async def test_a_response_of_httpx_is_read(pool: ReadPool, read_before: bool) -> None:
    async def serve(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=body())

    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(serve)) as client,
        client.stream("GET", "http://example.com/a.mp3") as response,
    ):
        if read_before:
            await response.aread()
        source = AudioSource.of(cast("Any", response))
        assert type(source) is (BytesSource if read_before else StreamSource)
        assert await everything(source, pool) == LINELESS


async def test_a_response_of_httpx_that_is_not_async_is_an_error_of_the_source(pool: ReadPool) -> None:
    response = httpx.Response(200, content=iter([LINELESS]))
    with pytest.raises(AudioSourceError, match="audio stream failed: RuntimeError"):
        await everything(response, pool)


async def test_an_upload_of_starlette_is_read_like_the_file_that_it_is(pool: ReadPool) -> None:
    with tempfile.SpooledTemporaryFile(max_size=1_000) as file:
        file.write(SPEECH)
        file.seek(0)
        source = AudioSource.of(UploadFile(cast("Any", file), filename="take\n3.mp3"))
        assert (type(source), source.filename, source.replayable) == (FileSource, r"take\n3.mp3", True)
        assert [await everything(source, pool) for _ in range(2)] == [SPEECH, SPEECH]


async def test_an_upload_without_a_name_has_that_of_any_file() -> None:
    source = AudioSource.of(UploadFile(io.BytesIO(SPEECH)))
    assert source.filename == "audio file"


async def test_an_upload_of_aiohttps_server_is_read(pool: ReadPool, tmp_path: Path) -> None:
    received = []

    async def serve(request: web.Request) -> web.Response:
        field = (await request.post())["audio"]
        received.append(await everything(field, pool))
        return web.Response()

    app = web.Application()
    app.router.add_post("/", serve)
    form = aiohttp.FormData()
    form.add_field("audio", SPEECH, filename="a.mp3", content_type="audio/mpeg")
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        async with session.post(server.make_url("/"), data=form) as response:
            assert response.status == 200
    assert received == [SPEECH]


def test_a_response_of_requests_is_refused_with_what_to_pass() -> None:
    response = type("Response", (), {"iter_content": lambda self: iter([b""])})()
    with pytest.raises(InvalidUploadError, match=r"not a Response: pass its \.content"):
        AudioSource.of(response)
