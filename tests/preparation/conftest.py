"""A voice that is recorded once, and an interview of three minutes."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import spoken


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight seconds of a voice, with a second of silence at either end."""
    folder = tmp_path_factory.mktemp("recorded")
    voice = spoken.speak(spoken.LINES[3][:90], folder / "voice.wav")
    return spoken.through(voice, folder / "recorded.wav", "-af", "adelay=1000,apad=pad_dur=1")


@pytest.fixture(scope="session")
def interview(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return spoken.interview(tmp_path_factory.mktemp("interview") / "interview.m4a", 180)
