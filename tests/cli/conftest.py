"""What the tests of the command share: a key, and no waiting between attempts."""

from __future__ import annotations

import pytest

from siliconflow_voice import RetryPolicy
from siliconflow_voice.emulator import Emulator


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the language of the machine is."""
    monkeypatch.setenv("SILICONFLOW_VOICE_LANG", "en")


@pytest.fixture
def chinese(monkeypatch: pytest.MonkeyPatch, english: None) -> None:
    monkeypatch.setenv("SILICONFLOW_VOICE_LANG", "zh")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")


@pytest.fixture
def address(emulator: Emulator, key: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The emulator's address, which the command finds in its environment."""
    monkeypatch.setenv("SILICONFLOW_BASE_URL", emulator.base_url)
    return emulator.base_url


@pytest.fixture
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "backoff", lambda self, failures: 0.0)
