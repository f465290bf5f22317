"""Connections that the emulator closes without a word in the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from support.recordings import SPEECH, TEXT
from support.virtual_time import virtual_time

from siliconflow_voice import RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]

LIST = b"GET /v1/audio/voice/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n\r\n"
EMPTY = b'{"result": []}'


async def asked(connection: Connection) -> bytes:
    """Ask for the list, and return the head of the answer, in lower case."""
    reader, writer = connection
    writer.write(LIST)
    head = await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(len(EMPTY)) == EMPTY
    return head.lower()


def idle(seconds: float) -> Emulator:
    return Emulator(faults=[Fault.close_idle(seconds, times=None, endpoint="any")])


async def test_a_connection_may_end_right_behind_an_answer_that_does_not_say_so(
    connect: Callable[[Emulator], Awaitable[Connection]],
) -> None:
    async with idle(0) as emulator:
        connection = await connect(emulator)
        assert b"connection: close" not in await asked(connection)
        assert await connection[0].read() == b""
        assert emulator.requests[0].status == 200


@virtual_time
async def test_a_connection_ends_once_it_has_been_idle_for_so_long() -> None:
    now = asyncio.get_running_loop().time
    async with idle(15) as emulator:
        port = int(emulator.base_url.split(":")[2].removesuffix("/v1"))
        connection = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            await asked(connection)
            await asyncio.sleep(14)
        assert await connection[0].read() == b""
        assert now() == pytest.approx(2 * 14 + 15, abs=0.1)
        connection[1].close()


@virtual_time
@pytest.mark.parametrize(("seconds", "pause"), [(0, 0), (15, 20)])
async def test_no_upload_fails_for_that(seconds: float, pause: float) -> None:
    async with (
        idle(seconds) as emulator,
        VoiceClient("sk-test", base_url=emulator.base_url, retry=RetryPolicy.none()) as client,
    ):
        for number in range(20):
            voice = await client.upload_voice(SPEECH, custom_name=f"n{number}", text=TEXT)
            assert (len(voice.attempts), voice.recovered) == (1, False)
            await asyncio.sleep(pause)
        assert len(emulator.voices) == 20
