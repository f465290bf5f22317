"""Where the key may go in clear: to this machine's own addresses, whatever a name is called or leads to.

Then: any name that ended in ``.localhost`` was taken for this machine, and so was the key sent there.
"""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from support.raw_server import Exchange, raw_server
from yarl import URL

from siliconflow_voice import ConfigurationError, RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.transport import session


@pytest.mark.parametrize(
    "host", ["voice.localhost", "localhost.", "localhost.example", "127.0.0.1.example", "0", "[fe80::1]"]
)
def test_no_name_but_localhost_is_taken_for_this_machine(host: str) -> None:
    with pytest.raises(ConfigurationError):
        VoiceClient("sk-test", base_url=f"http://{host}/v1")


async def test_localhost_is_used_where_it_leads_to_this_machine(emulator: Emulator) -> None:
    address = emulator.base_url.replace("127.0.0.1", "localhost")
    async with VoiceClient("sk-test", base_url=address) as client:
        assert await client.list_voices() == []


@pytest.mark.parametrize("peer", ["192.0.2.1", "::ffff:192.0.2.1", "", "not an address"])
async def test_no_byte_is_sent_where_localhost_leads_elsewhere(
    monkeypatch: pytest.MonkeyPatch, peer: str
) -> None:
    received = asyncio.get_running_loop().create_future()

    async def listen(exchange: Exchange) -> None:
        received.set_result(await exchange.reader.read())

    async with raw_server(listen) as server:
        address = server.base_url.replace("127.0.0.1", "localhost")
        # The other end is there, at an address that is said to be another machine's.
        monkeypatch.setattr(session, "_peer", lambda _: peer)
        async with VoiceClient("sk-test", base_url=address, retry=RetryPolicy.none()) as client:
            with pytest.raises(ConfigurationError, match="localhost leads to another machine"):
                await client.list_voices()
        assert await received == b""


async def test_a_connection_that_is_gone_has_no_address(emulator: Emulator) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", URL(emulator.base_url).port)
    transport = cast("asyncio.Transport", writer.transport)
    assert (session._peer(transport), session._peer(None)) == ("127.0.0.1", "")
    writer.close()
    await writer.wait_closed()
