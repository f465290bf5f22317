"""A session that has the key, bare connections, and the fields of a good upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from yarl import URL

from siliconflow_voice.emulator import Emulator

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer sk-test"}) as session:
        yield session


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Emulator], Awaitable[Connection]]]:
    writers: list[asyncio.StreamWriter] = []

    async def connect(emulator: Emulator) -> Connection:
        url = URL(emulator.base_url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writers.append(writer)
        return reader, writer

    yield connect
    for writer in writers:
        writer.transport.abort()


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    async def until(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110 - what the emulator notes sets no event
                await asyncio.sleep(0)

    return until


@pytest.fixture
def fields() -> dict[str, str]:
    return {
        "model": "FunAudioLLM/CosyVoice2-0.5B",
        "customName": "narrator",
        "text": "慢工出细活",
    }
