"""Threads of a test's own, since connections belong to its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from siliconflow_voice.audio.pool import ReadPool


@pytest.fixture
async def pool() -> AsyncIterator[ReadPool]:
    pool = ReadPool()
    yield pool
    await pool.close()
