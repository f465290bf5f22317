from __future__ import annotations

import asyncio
import ssl

import pytest
import trustme
from support.hurried_time import hurried_time
from support.made import hum, wav
from support.raw_server import Exchange, Script, raw_server
from support.recordings import SPEECH
from support.storage import address, allowed, chunked, cut, redirect, serving, source

from siliconflow_voice import (
    AudioFacts,
    AudioSource,
    AudioSourceError,
    ConfigurationError,
    InvalidUploadError,
    RemoteAudio,
    inspect_audio,
)
from siliconflow_voice.audio.pool import ReadPool


async def sent(pool: ReadPool, source: AudioSource) -> bytes:
    """Return the bytes that an upload would send."""
    reading = source.reading(pool)
    try:
        await reading.facts()
        return b"".join([bytes(block) async for block in reading.blocks()])
    finally:
        await reading.close()


async def test_a_recording_is_fetched_and_looked_at() -> None:
    async with raw_server(serving(SPEECH, headers="Content-Type: text/html\r\n")) as server:
        facts = await inspect_audio(source(server))
    assert facts == AudioFacts(len(SPEECH), "mp3", "audio/mpeg", facts.duration, unsure=facts.unsure)
    assert facts.duration == pytest.approx(5.6, abs=0.1)


async def test_a_request_has_nothing_in_it_but_the_address() -> None:
    async with raw_server(serving(SPEECH, headers="Set-Cookie: a=b\r\n")) as server:
        remote = allowed(server)
        pool = ReadPool()
        for _ in range(2):
            await sent(pool, AudioSource.url(address(server, "/b%2Fc.mp3?X-Sig=a%2Fb+c"), remote=remote))
        await pool.close()
    (exchange,) = server.exchanges  # one connection for both
    line, *headers = exchange.head.decode().split("\r\n")
    assert line == "GET /b%2Fc.mp3?X-Sig=a%2Fb+c HTTP/1.1"
    assert sorted(header.partition(":")[0] for header in headers if header) == [
        *("Accept", "Accept-Encoding", "Host", "User-Agent"),
    ]
    assert "Accept-Encoding: identity" in headers


async def test_a_recording_without_a_length_is_read_to_its_end(pool: ReadPool) -> None:
    long = wav(hum(40))
    async with raw_server(chunked(SPEECH), chunked(long)) as server:
        assert await sent(pool, source(server)) == SPEECH
        assert await sent(pool, source(server)) == long


@hurried_time
async def test_one_that_is_cut_short_is_fetched_again(pool: ReadPool) -> None:
    async with raw_server(cut(SPEECH, 0), cut(SPEECH, 20_000), serving(SPEECH)) as server:
        assert await sent(pool, source(server)) == SPEECH
    assert len(server.exchanges) == 3


@hurried_time
async def test_one_that_is_always_cut_short_is_given_up() -> None:
    async with raw_server(cut(SPEECH, 20_000)) as server:
        with pytest.raises(AudioSourceError) as caught:
            await inspect_audio(source(server))
        assert str(caught.value) == f"{address(server)} can't be fetched: it was cut short."
    assert len(server.exchanges) == 3


async def test_a_chunked_one_that_is_cut_short_is_not_taken_for_whole() -> None:
    async def script(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nRIFFx\r\n")

    async with raw_server(script) as server:
        with pytest.raises(AudioSourceError, match="it was cut short"):
            await inspect_audio(source(server, attempts=1))


@hurried_time
@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow", "408 Late"])
async def test_what_passes_is_tried_again(status: str, pool: ReadPool) -> None:
    failing = serving(b"{}", status, "Connection: close\r\n")
    async with raw_server(failing, serving(SPEECH)) as server:
        assert await sent(pool, source(server)) == SPEECH
    assert len(server.exchanges) == 2


@hurried_time
@pytest.mark.parametrize(
    ("status", "tries", "advice"),
    [
        ("404 Not Found", 1, "; check the address"),
        ("403 Forbidden", 1, "; if the address is signed, it may have expired"),
        ("401 Unauthorized", 1, "; use an address that is signed, since no credentials are sent"),
        ("304 Not Modified", 1, ""),
        ("206 Partial Content", 1, ""),
        ("302 Found", 1, ""),
        ("500 Oops", 3, ""),
    ],
)
async def test_a_status_that_is_not_a_success_is_told(status: str, tries: int, advice: str) -> None:
    requests = 0

    async def script(exchange: Exchange) -> None:
        nonlocal requests
        while True:
            await exchange.read_head()
            requests += 1
            await exchange.answer(b"", status)

    async with raw_server(script) as server:
        with pytest.raises(AudioSourceError) as caught:
            await inspect_audio(source(server, "/a.mp3?sig=secret"))
        message = f"{address(server)} can't be fetched: HTTP {status[:3]}{advice}."
    assert (str(caught.value), caught.value.status, requests) == (message, int(status[:3]), tries)


async def reset(exchange: Exchange) -> None:
    await exchange.read_head()
    exchange.reset()


async def leave(exchange: Exchange) -> None:
    await exchange.read_head()


async def garble(exchange: Exchange) -> None:
    await exchange.read_head()
    await exchange.send(b"hello\r\n\r\n")


async def stay_silent(exchange: Exchange) -> None:
    await exchange.read_to_the_end()


@hurried_time
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (reset, "can't be fetched: "),
        (leave, "can't be fetched: the server closed the connection"),
        (garble, "can't be fetched: the answer is not valid HTTP"),
        (stay_silent, "can't be fetched: no connection in 10 s, or no byte for 30 s"),
    ],
)
async def test_a_connection_that_breaks_is_told(script: Script, reason: str) -> None:
    async with raw_server(script) as server:
        with pytest.raises(AudioSourceError) as caught:
            await inspect_audio(source(server, attempts=1))
        assert str(caught.value).startswith(f"{address(server)} {reason}")
    assert caught.value.status is None


@hurried_time
async def test_a_server_that_is_not_there_is_told() -> None:
    async with raw_server(serving(SPEECH)) as server:
        pass
    with pytest.raises(AudioSourceError, match=r"can't be fetched: (Connect call failed|Connection refused)"):
        await inspect_audio(source(server))


@hurried_time
async def test_a_name_that_leads_nowhere_is_told() -> None:
    with pytest.raises(AudioSourceError) as caught:
        await inspect_audio(AudioSource.url("https://nowhere.invalid/a.mp3?sig=secret"))
    assert str(caught.value) == "https://nowhere.invalid/a.mp3 can't be fetched: its host can't be resolved."


async def test_a_certificate_that_is_not_valid_is_told() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    async with raw_server(serving(SPEECH), ssl=context) as server:
        remote = RemoteAudio(hosts=[f"localhost:{server.port}"], private=True)
        with pytest.raises(AudioSourceError, match="can't be fetched: its TLS certificate is not valid"):
            await inspect_audio(AudioSource.url(f"https://localhost:{server.port}/a", remote=remote))


@hurried_time
async def test_a_trickle_ends_with_the_time_for_a_download() -> None:
    async def trickle(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await exchange.send(b"R")
            await asyncio.sleep(1)

    async with raw_server(trickle) as server:
        with pytest.raises(AudioSourceError) as caught:
            await inspect_audio(source(server, timeout=5))
        assert str(caught.value) == f"{address(server)} took longer than 5 s: raise RemoteAudio.timeout."


@pytest.mark.parametrize("coding", ["gzip", "BR", "deflate", "zstd"])
async def test_what_comes_compressed_is_refused(coding: str) -> None:
    async with raw_server(serving(b"x" * 99, headers=f"Content-Encoding: {coding}\r\n")) as server:
        with pytest.raises(AudioSourceError, match=rf"comes compressed \({coding.lower()}\)"):
            await inspect_audio(source(server))
    assert len(server.exchanges) == 1


async def test_an_encoding_that_is_none_does_no_harm(pool: ReadPool) -> None:
    headers = "Content-Encoding: identity\r\n"
    async with raw_server(serving(SPEECH, headers=headers)) as server:
        assert await sent(pool, source(server)) == SPEECH


async def test_a_giant_is_refused_before_it_is_read() -> None:
    async def giant(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\nRIFF")
        await exchange.read_to_the_end()

    async with raw_server(giant) as server:
        with pytest.raises(InvalidUploadError) as caught:
            await inspect_audio(source(server))
        await server.ended()
        message = f"{address(server)} is 9,000,000,000 bytes; the limit is 268,435,456"
    assert (caught.value.reason, caught.value.rule) == (message, "too_large")


async def test_a_giant_that_does_not_say_so_is_read_up_to_the_limit() -> None:
    written = 0

    async def endless(exchange: Exchange) -> None:
        nonlocal written
        await exchange.read_head()
        await exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await exchange.send(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
            written += 1 << 16

    async with raw_server(endless) as server:
        with pytest.raises(InvalidUploadError) as caught:
            await inspect_audio(source(server, max_bytes=1 << 20))
        await server.ended()
        message = f"{address(server)} is more than 1,048,576 bytes; the limit is 1,048,576"
    assert (caught.value.reason, caught.value.rule) == (message, "too_large")
    assert written < 16 << 20  # what buffers on the way hold


async def test_a_redirect_is_followed_where_it_is_allowed(pool: ReadPool) -> None:
    async with raw_server(serving(SPEECH)) as other:
        async with raw_server(redirect("/b.mp3?x=%2F"), redirect(address(other))) as server:
            remote = allowed(server, other)
            assert await sent(pool, AudioSource.url(address(server), remote=remote)) == SPEECH
    first, second = (exchange.head.split(b" HTTP")[0] for exchange in server.exchanges)
    assert (first, second) == (b"GET /a.mp3", b"GET /b.mp3?x=%2F")


async def test_redirects_end() -> None:
    async with raw_server(redirect("/a.mp3")) as server:
        with pytest.raises(AudioSourceError) as caught:
            await inspect_audio(source(server))
        message = f"{address(server)} redirects more than 3 times: raise RemoteAudio.max_redirects."
        with pytest.raises(AudioSourceError, match="redirects more than 0 times"):
            await inspect_audio(source(server, max_redirects=0))
    assert str(caught.value) == message


async def test_a_client_that_is_closed_meanwhile_ends_a_download(pool: ReadPool) -> None:
    began = asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        await exchange.read_head()
        began.set()
        await exchange.read_to_the_end()

    async with raw_server(wait) as server:
        reading = source(server).reading(pool)
        async with asyncio.TaskGroup() as group:
            download = group.create_task(complaint(reading.facts()))
            await began.wait()
            await pool.close()
        assert download.result() == "ConfigurationError: The client is closed."
        await reading.close()


async def complaint(coroutine: object) -> str:
    with pytest.raises((AudioSourceError, ConfigurationError)) as caught:
        await coroutine  # type: ignore[misc] # of facts
    return f"{type(caught.value).__name__}: {caught.value}"
