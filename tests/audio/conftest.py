"""Threads to read with, something to read, and ways to read all of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading


@pytest.fixture(scope="session")
def pool() -> Iterator[ReadPool]:
    """Shared by all, so that buffers come with what an earlier test left in them."""
    pool = ReadPool()
    yield pool
    asyncio.run(pool.close())


@pytest.fixture(scope="session")
def content() -> Callable[[int], bytes]:
    """Make as many bytes, in which blocks of any usual size differ from each other."""

    def content(size: int) -> bytes:
        return (bytes(range(251)) * (size // 251 + 1))[:size]

    return content


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[[bytes], Path]:
    """Put bytes into a file."""

    def make_file(data: bytes) -> Path:
        path = tmp_path / "recording.bin"
        path.write_bytes(data)
        return path

    return make_file


@pytest.fixture(scope="session")
def whole() -> Callable[[Reading], Awaitable[bytes]]:
    """Put together the blocks of one attempt."""

    async def whole(reading: Reading) -> bytes:
        # A block is valid until the next one is asked for, so that each must be copied.
        return b"".join([bytes(block) async for block in reading.blocks()])

    return whole
