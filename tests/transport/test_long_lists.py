"""A list of voices that is long, compressed, or a bomb, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from support.raw_server import Exchange, Script, raw_server

from siliconflow_voice import InvalidResponseError, RetryPolicy, ServerError, Timeouts, VoiceClient

COUNT = 5000
ENTRIES = [
    {"model": "m", "customName": f"n{i}", "text": "慢工出细活", "uri": f"speech:n{i}:a:{i:020d}"}
    for i in range(COUNT)
]
DOCUMENT = json.dumps({"result": ENTRIES}).encode()


_packer = zlib.compressobj(1, wbits=31)
SPOILT = (
    _packer.compress(DOCUMENT[:-2]) + _packer.flush(zlib.Z_FULL_FLUSH) + b"\xff" * 100
)  # of no block's kind


def listing(body: bytes, headers: str = "") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(body, headers=headers)

    return script


def client_of(base_url: str, **options: object) -> VoiceClient:
    return VoiceClient("sk-test", base_url=base_url, retry=RetryPolicy.none(), **options)  # type: ignore[arg-type] # on purpose


async def test_a_long_list_is_read_as_it_comes_and_whole() -> None:
    assert len(DOCUMENT) > 1 << 19
    async with raw_server(listing(DOCUMENT)) as server, client_of(server.base_url) as client:
        voices = await client.list_voices()
    assert [voice.uri for voice in voices] == [entry["uri"] for entry in ENTRIES]


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
async def test_a_long_list_that_is_compressed_is_understood(encoding: str) -> None:
    packed = gzip.compress(json.dumps({"result": ENTRIES}).encode(), 1)
    assert len(packed) < 1 << 18 < len(DOCUMENT)
    script = listing(packed, f"Content-Encoding: {encoding}\r\n")
    async with raw_server(script) as server, client_of(server.base_url) as client:
        assert len(await client.list_voices()) == COUNT


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        (DOCUMENT[:-5], "", "the answer is not JSON"),
        (DOCUMENT.replace(b'"result"', b'"voices"'), "", "has an unknown shape"),
        (DOCUMENT[:-2] + b", 7]}", "", "an entry that is not a voice"),
        (b"x" * (1 << 19), "Content-Encoding: gzip\r\n", "the answer is not JSON"),
        (SPOILT, "Content-Encoding: gzip\r\n", "the answer can't be decompressed"),
        (gzip.compress(b" " * (1 << 20), 1, mtime=0), "Content-Encoding: gzip\r\n", "unknown shape"),
    ],
)
async def test_a_long_list_that_is_wrong_is_invalid(body: bytes, headers: str, reason: str) -> None:
    async with raw_server(listing(body, headers)) as server, client_of(server.base_url) as client:
        with pytest.raises(InvalidResponseError, match=reason):
            await client.list_voices()


@pytest.mark.parametrize("packed", [False, True])
async def test_a_list_is_not_read_past_its_bound(packed: bool) -> None:
    body = json.dumps({"result": ENTRIES}).encode()
    script = listing(gzip.compress(body, 1), "Content-Encoding: gzip\r\n") if packed else listing(body)
    async with (
        raw_server(script) as server,
        client_of(server.base_url, max_list_bytes=300_000) as client,
    ):
        with pytest.raises(InvalidResponseError, match="the answer has more than 300,000 bytes"):
            await client.list_voices()


async def test_the_loop_has_its_turns_while_a_long_list_is_parsed() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with raw_server(listing(DOCUMENT)) as server, client_of(server.base_url) as client:
        counting = asyncio.create_task(count())
        await client.list_voices()
        counting.cancel()
    assert turns >= len(DOCUMENT) // (1 << 15)


async def test_a_deadline_ends_the_parsing_of_a_list_without_end() -> None:
    def entries() -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"
        while True:
            yield b"5dc\r\n" + (b'{"uri":"speech:a"},' * 100)[:1500] + b"\r\n"

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        for piece in entries():
            await exchange.send(piece)

    timeouts = Timeouts(attempt=0.3)
    async with raw_server(script) as server, client_of(server.base_url, timeouts=timeouts) as client:
        with pytest.raises((TimeoutError, InvalidResponseError)):
            await client.list_voices()


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZip", "deflate"])
async def test_a_compressed_answer_is_read_though_it_was_not_asked_for(encoding: str) -> None:
    raw = json.dumps({"result": ENTRIES[:3]}).encode()
    packed = zlib.compress(raw) if encoding == "deflate" else gzip.compress(raw)
    script = listing(packed, f"Content-Encoding: {encoding}\r\n")
    async with raw_server(script) as server, client_of(server.base_url) as client:
        assert len(await client.list_voices()) == 3


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no gzip", "gzip"),
        (gzip.compress(b"", mtime=0)[:5], "gzip"),
        (gzip.compress(b'{"result": []}', mtime=0)[:18], "gzip"),
        (b"\x0b\x02\x80", "br"),
    ],
)
async def test_a_compressed_answer_that_is_not_sound_is_no_success(
    status: str, body: bytes, encoding: str
) -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(body, status, f"Content-Encoding: {encoding}\r\n")

    async with raw_server(script) as server, client_of(server.base_url) as client:
        with pytest.raises(InvalidResponseError if status.startswith("200") else ServerError):
            await client.list_voices()


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_a_compressed_bomb_takes_little_memory(status: str) -> None:
    bomb = gzip.compress(b"ab " * (8 << 20), 1)

    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(bomb, status, "Content-Encoding: gzip\r\n")

    async with raw_server(script) as server, client_of(server.base_url) as client:
        tracemalloc.start()
        try:
            with pytest.raises((InvalidResponseError, ServerError)) as caught:
                await client.list_voices()
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()
    assert len(vars(caught.value)["body"]) == 4096
