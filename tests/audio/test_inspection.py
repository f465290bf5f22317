from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.recordings import MP3, SPEECH, WAV

from siliconflow_voice import AudioFacts, AudioSource, inspect_audio
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError, SourceConsumedError


async def stream() -> AsyncIterator[bytes]:
    yield SPEECH


async def test_a_recording_is_looked_at_without_a_client() -> None:
    facts = await inspect_audio(WAV)
    assert facts == AudioFacts(WAV.stat().st_size, "wav", "audio/wav", 3.63325)


@pytest.mark.parametrize("make", [lambda: MP3, lambda: SPEECH, lambda: io.BytesIO(SPEECH)])
async def test_it_says_the_same_of_a_path_bytes_and_a_file(make: Any) -> None:
    facts = await inspect_audio(make())
    assert (facts.size, facts.format) == (len(SPEECH), "mp3")
    assert facts.duration == pytest.approx(5.592, abs=0.06)


async def test_it_says_of_a_stream_what_its_beginning_tells() -> None:
    assert (await inspect_audio(stream())).format == "mp3"


async def test_samples_are_as_declared() -> None:
    facts = await inspect_audio(bytes(32_000), content_type="audio/pcm;rate=16000")
    assert (facts.format, facts.duration) == ("pcm", 1.0)


async def test_a_file_can_be_used_afterwards() -> None:
    file = io.BytesIO(b"xx" + SPEECH)
    file.seek(2)
    await inspect_audio(file)
    assert file.read() == SPEECH


async def test_a_stream_can_not() -> None:
    source = AudioSource.of(stream())
    await inspect_audio(source)
    with pytest.raises(SourceConsumedError):
        await inspect_audio(source)


async def test_what_can_not_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AudioSourceError, match="no such file"):
        await inspect_audio(tmp_path / "missing.mp3")
    with pytest.raises(InvalidUploadError, match="not int"):
        await inspect_audio(5)  # type: ignore[arg-type] # on purpose
