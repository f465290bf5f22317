from __future__ import annotations

import errno
import hashlib
import io
import tempfile
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support.hurried_time import hurried_time
from support.made import hum, wav
from support.raw_server import Exchange, raw_server
from support.recordings import SPEECH
from support.storage import address, allowed, chunked, serving, source

from siliconflow_voice import (
    AudioLimits,
    AudioSource,
    AudioSourceError,
    InvalidUploadError,
    RetryPolicy,
    SourceChangedError,
    VoiceClient,
    inspect_audio,
)
from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.pool import BLOCK, MOST_HELD, ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.remote.spool import Spool
from siliconflow_voice.emulator import Emulator, Fault

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

LONG = wav(hum(40))
"""More than a block."""


async def blocks_of(reading: Reading) -> bytes:
    return b"".join([bytes(block) async for block in reading.blocks()])


@asynccontextmanager
async def reading_of(audio: AudioSource, pool: ReadPool) -> AsyncIterator[Reading]:
    reading = audio.reading(pool)
    try:
        yield reading
    finally:
        await reading.close()


@pytest.mark.parametrize("recording", [SPEECH, LONG, LONG[:BLOCK], LONG[: BLOCK + 1]])
@pytest.mark.parametrize("serve", [serving, chunked])
async def test_it_is_known_and_read_as_bytes_are(recording: bytes, serve: object, pool: ReadPool) -> None:
    assert callable(serve)
    async with raw_server(serve(recording)) as server:
        async with reading_of(source(server), pool) as reading:
            facts = await reading.facts(digest=True)
            assert facts == await AudioSource.of(recording).reading(pool).facts(digest=True)
            assert [await blocks_of(reading) for _ in range(3)] == [recording] * 3
    assert len(server.exchanges) == 1


async def test_it_has_a_digest_only_if_it_is_asked_for(pool: ReadPool) -> None:
    async with raw_server(serving(SPEECH)) as server, reading_of(source(server), pool) as reading:
        assert (await reading.facts()).sha256 is None
        assert (await reading.facts(digest=True)).sha256 == hashlib.sha256(SPEECH).hexdigest()


@pytest.mark.parametrize("recording", [SPEECH, LONG])
async def test_where_few_wait_it_is_held(recording: bytes, pool: ReadPool) -> None:
    async with raw_server(serving(recording)) as server, reading_of(source(server), pool) as reading:
        await reading.facts()
        reading.wait()
        assert (await blocks_of(reading), pool.held) == (recording, 1)
        assert server.exchanges[0].head.count(b"GET") == 1
    assert pool.held == 0


@pytest.mark.parametrize("recording", [SPEECH, LONG])
async def test_where_many_wait_it_is_let_go_of_and_fetched_again(recording: bytes, pool: ReadPool) -> None:
    once = serving(recording, headers='Connection: close\r\nETag: "1"\r\n')
    another = serving(recording, headers='ETag: "2"\r\n')  # as another of its servers calls it
    async with raw_server(once, another) as server, reading_of(source(server), pool) as reading:
        await reading.facts()
        pool.held += MOST_HELD
        reading.wait()
        assert pool.held == MOST_HELD
        assert await blocks_of(reading) == recording
        assert (len(server.exchanges), pool.held) == (2, MOST_HELD + 1)


@pytest.mark.parametrize("other", [SPEECH + b"\0", bytes(len(SPEECH)), b""])
async def test_what_changed_meanwhile_is_not_sent(other: bytes, pool: ReadPool) -> None:
    once = serving(SPEECH, headers='Connection: close\r\nETag: "1"\r\n')
    async with raw_server(once, serving(other, headers='ETag: "1"\r\n')) as server:
        async with reading_of(source(server), pool) as reading:
            await reading.facts()
            pool.held += MOST_HELD
            reading.wait()
            with pytest.raises(SourceChangedError) as caught:
                await blocks_of(reading)
        assert str(caught.value) == f"{address(server)} changed while it waited to be uploaded."
    assert pool.held == MOST_HELD


async def test_what_is_gone_meanwhile_is_told(pool: ReadPool) -> None:
    once = serving(SPEECH, headers="Connection: close\r\n")
    async with raw_server(once, serving(b"", "404 Not Found")) as server:
        async with reading_of(source(server), pool) as reading:
            await reading.facts()
            pool.held += MOST_HELD
            reading.wait()
            with pytest.raises(AudioSourceError, match="HTTP 404"):
                await blocks_of(reading)


@pytest.mark.parametrize("room", [0, len(LONG) - 1])
async def test_a_disk_that_is_full_is_told(
    pool: ReadPool, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    class Disk(io.BytesIO):
        def write(self, data: ReadableBuffer, /) -> int:
            if self.tell() + len(memoryview(data)) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    monkeypatch.setattr(tempfile, "TemporaryFile", Disk)
    async with raw_server(serving(LONG)) as server, reading_of(source(server), pool) as reading:
        with pytest.raises(AudioSourceError) as caught:
            await reading.facts()
        reason = "can't be kept in a temporary file: No space left on device."
        assert str(caught.value) == f"{address(server)} {reason}"


async def test_a_write_that_comes_behind_the_end_makes_no_file(
    pool: ReadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[None] = []
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: made.append(None))
    spool = Spool("a", pool)
    spool.close()
    await spool.add(bytes(BLOCK + 1))
    assert made == []


async def test_a_page_of_html_is_refused_for_what_it_is(client: VoiceClient, emulator: Emulator) -> None:
    async with raw_server(serving(b"<!doctype html><title>Not here</title>")) as server:
        with pytest.raises(InvalidUploadError) as caught:
            await client.upload_voice(source(server), custom_name="a", text="t")
        told = f"{address(server)} is a page of HTML, not audio; supported: mp3, opus, pcm, wav"
    assert (caught.value.rule, caught.value.reason.startswith(told)) == ("format", True)
    assert emulator.requests == []


@pytest.mark.parametrize(("recording", "rule"), [(b"", "empty"), (LONG, "too_long")])
async def test_the_rules_of_files_hold(client: VoiceClient, recording: bytes, rule: str) -> None:
    async with raw_server(serving(recording)) as server:
        with pytest.raises(InvalidUploadError) as caught:
            await client.upload_voice(source(server), custom_name="a", text="t")
    assert caught.value.rule == rule


async def test_what_the_limits_refuse_is_not_fetched(client: VoiceClient) -> None:
    async def large(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000001\r\n\r\n")
        await exchange.read_to_the_end()

    async with raw_server(large) as server:
        with pytest.raises(InvalidUploadError) as caught:
            await client.upload_voice(source(server), custom_name="a", text="t")
        assert caught.value.reason == f"{address(server)} is 5,000,001 bytes; the limit is 5,000,000"
        limits = AudioLimits(max_bytes=None)
        with pytest.raises(InvalidUploadError, match="the limit is 5,000,000"):
            await client.with_options(limits=limits).upload_voice(
                source(server, max_bytes=5_000_000), custom_name="a", text="t"
            )


@hurried_time
@pytest.mark.parametrize("encoding", ["multipart", "base64"])
@pytest.mark.parametrize("recording", [SPEECH, wav(hum(28))])
async def test_an_upload_that_is_tried_again_fetches_it_once(encoding: Encoding, recording: bytes) -> None:
    faults = [Fault.return_status(503), Fault.reset_after(10_000)]
    retry = RetryPolicy(wait_initial=0.001, wait_max=0.002)
    async with Emulator(faults=faults) as emulator, raw_server(chunked(recording)) as server:
        async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
            await client.upload_voice(source(server), custom_name="a", text="t", encoding=encoding)
    (stored,) = emulator.voices
    assert (stored.sha256, len(server.exchanges)) == (hashlib.sha256(recording).hexdigest(), 1)


async def test_raw_samples_are_declared() -> None:
    async with raw_server(serving(hum(1))) as server:
        remote = allowed(server)
        audio = AudioSource.url(address(server), remote=remote, content_type="audio/pcm;rate=16000")
        assert (await inspect_audio(audio)).duration == 1.0


async def test_memory_does_not_grow_with_a_recording(pool: ReadPool) -> None:
    size = 64 << 20

    async def long(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        piece = bytes(1 << 20)
        for _ in range(size >> 20):
            await exchange.send(piece)

    async with raw_server(long) as server, reading_of(source(server), pool) as reading:
        tracemalloc.start()
        try:
            facts = await reading.facts(measure=False, digest=True)
            sent = 0
            async for block in reading.blocks():
                sent += len(block)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert (facts.size, sent, peak < 12 << 20) == (size, size, True)
