"""What all tests share: a clean environment, the emulator, a client that talks to it."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest

from siliconflow_voice import RetryPolicy, VoiceClient
from siliconflow_voice.emulator import Emulator

pytest_plugins = ["siliconflow_voice.emulator.pytest_plugin"]


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a recording by its size: pytest would make all of its bytes part of the test's name."""
    return f"{len(val)} bytes" if isinstance(val, bytes) and len(val) > 100 else None


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SILICONFLOW_API_KEY", "SILICONFLOW_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    logging.getLogger("siliconflow_voice").setLevel(logging.DEBUG)


@pytest.fixture
async def emulator() -> AsyncIterator[Emulator]:
    """A well-behaved service."""
    async with Emulator() as emulator:
        yield emulator


@pytest.fixture
async def client(emulator: Emulator) -> AsyncIterator[VoiceClient]:
    """A client of it that doesn't wait long."""
    retry = RetryPolicy(wait_initial=0.001, wait_max=0.002)
    async with VoiceClient("sk-test", base_url=emulator.base_url, retry=retry) as client:
        yield client
