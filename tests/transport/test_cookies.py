from __future__ import annotations

from support.raw_server import Exchange, raw_server
from support.recordings import SPEECH, TEXT

from siliconflow_voice import VoiceClient


async def set_cookie(exchange: Exchange) -> None:
    await exchange.read_request()
    await exchange.answer(b'{"uri":"speech:a:b:c"}', headers="Set-Cookie: a=b\r\nConnection: close\r\n")


async def test_a_cookie_that_is_set_is_not_sent_back() -> None:
    async with raw_server(set_cookie) as server:
        address = server.base_url.replace("127.0.0.1", "localhost")
        async with VoiceClient("sk-test", base_url=address) as client:
            for name in "ab":
                await client.upload_voice(SPEECH, custom_name=name, text=TEXT, on_ambiguous="raise")
    assert [b"cookie" in exchange.head.lower() for exchange in server.exchanges] == [False, False]
