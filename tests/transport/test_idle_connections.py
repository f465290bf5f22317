"""Connections that the service, or a proxy before it, closed while they were idle."""

from __future__ import annotations

import asyncio
import select
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from support.raw_server import Exchange, raw_server
from support.recordings import SPEECH, TEXT

from siliconflow_voice import APIConnectionError, RetryPolicy, SourceConsumedError, VoiceClient
from siliconflow_voice.transport.session import has_news

LARGE = bytes(16 << 20)  # more than the socket buffers of loopback take
EMPTY = b'{"result":[]}'


async def list_then_close(exchange: Exchange) -> None:
    """Answer, and close right behind it without a word in its headers."""
    await exchange.read_request()
    await exchange.answer(EMPTY)


async def answer_all(exchange: Exchange) -> None:
    while True:
        exchange.body, exchange.whole = b"", False
        await exchange.read_request()
        listing = exchange.head.startswith(b"GET")
        await exchange.answer(EMPTY if listing else b'{"uri":"speech:a:b:c"}')


def list_then(end: Callable[[Exchange], Awaitable[None]]) -> Callable[[Exchange], Awaitable[None]]:
    """Answer a list, read the head of what comes next, and end the connection in its body."""

    async def script(exchange: Exchange) -> None:
        await list_then_close(exchange)
        exchange.body, exchange.whole = b"", False
        await exchange.read_head()
        await exchange.read_body(at_least=1000)
        await end(exchange)

    return script


async def reset(exchange: Exchange) -> None:
    exchange.reset()


def client_of(base_url: str, **options: aiohttp.ClientSession | None) -> VoiceClient:
    return VoiceClient("sk-test", base_url=base_url, retry=RetryPolicy.none(), limits=None, **options)  # type: ignore[arg-type] # a session or none


async def test_the_first_upload_behind_the_list_takes_a_new_connection() -> None:
    async with raw_server(list_then_close, answer_all) as server, client_of(server.base_url) as client:
        voice = await client.upload_voice(SPEECH, custom_name="narrator", text=TEXT)
    assert (voice.uri, len(voice.attempts), len(server.exchanges)) == ("speech:a:b:c", 1, 2)
    assert not voice.recovered


async def test_a_server_that_closes_behind_each_answer_costs_no_attempt() -> None:
    async def answer_one(exchange: Exchange) -> None:
        await exchange.read_request()
        listing = exchange.head.startswith(b"GET")
        await exchange.answer(EMPTY if listing else b'{"uri":"speech:a:b:c"}')

    async with raw_server(answer_one) as server, client_of(server.base_url) as client:
        voices = [await client.upload_voice(SPEECH, custom_name=f"n{i}", text=TEXT) for i in range(20)]
    assert [len(voice.attempts) for voice in voices] == [1] * 20
    assert [voice for voice in voices if voice.recovered] == []


async def test_a_used_connection_that_ends_within_the_body_is_replaced_at_once() -> None:
    async with (
        raw_server(list_then(reset), answer_all, receive_buffer=4096) as server,
        client_of(server.base_url) as client,
    ):
        voice = await client.upload_voice(LARGE, custom_name="narrator", text=TEXT)
    assert (len(voice.attempts), len(server.exchanges), voice.recovered) == (1, 2, False)
    assert server.exchanges[1].head.startswith(b"POST")


async def test_a_new_connection_that_ends_within_the_body_is_a_failure() -> None:
    async def end_in_the_body(exchange: Exchange) -> None:
        await exchange.read_head()
        await exchange.read_body(at_least=1000)
        exchange.reset()

    async with (
        raw_server(end_in_the_body, receive_buffer=4096) as server,
        client_of(server.base_url) as client,
    ):
        with pytest.raises(APIConnectionError) as caught:
            await client.upload_voice(LARGE, custom_name="narrator", text=TEXT, on_ambiguous="raise")
    assert (len(caught.value.attempts), len(server.exchanges)) == (1, 1)


async def test_a_stream_of_which_some_was_read_is_not_sent_again() -> None:
    async def stream() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield LARGE[: 1 << 18]

    async with (
        raw_server(list_then(reset), answer_all, receive_buffer=4096) as server,
        VoiceClient("sk-test", base_url=server.base_url, limits=None) as client,
    ):
        with pytest.raises(SourceConsumedError):
            await client.upload_voice(stream(), custom_name="narrator", text=TEXT)
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("has_poll", [True, False])
async def test_that_a_connection_has_ended_is_seen_on_systems_without_poll_too(
    has_poll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_poll:
        monkeypatch.delattr(select, "poll")
    async with raw_server(list_then_close, answer_all) as server, client_of(server.base_url) as client:
        for _ in range(3):
            assert await client.list_voices() == []
    assert len(server.exchanges) == 2


async def test_a_borrowed_sessions_used_connection_is_replaced_too() -> None:
    async def upload_then_reset(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer()
        exchange.body, exchange.whole = b"", False
        await exchange.read_head()
        await exchange.read_body(at_least=1000)
        exchange.reset()

    async with (
        raw_server(upload_then_reset, answer_all, receive_buffer=4096) as server,
        aiohttp.ClientSession() as session,
        client_of(server.base_url, session=session) as client,
    ):
        for audio in (SPEECH, LARGE):
            voice = await client.upload_voice(audio, custom_name="n", text=TEXT, on_ambiguous="raise")
            assert len(voice.attempts) == 1
    assert len(server.exchanges) == 2


@pytest.mark.parametrize("transport", [None, asyncio.Transport()])
def test_a_connection_without_a_socket_to_look_at_is_taken_for_ended(
    transport: asyncio.Transport | None,
) -> None:
    assert has_news(transport)
