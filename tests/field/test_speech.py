"""Speech in each format and rate, as ffprobe sees what was saved."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from siliconflow_voice import Reference, ResponseFormat, VoiceClient
from siliconflow_voice.emulator import Delivery, Emulator

TEXT = "慢工出细活，再给我两分钟"
SECONDS = len(TEXT) * 0.2
RATES: list[tuple[ResponseFormat, int]] = [
    *(("mp3", rate) for rate in (32_000, 44_100)),
    ("opus", 48_000),
    *(("wav", rate) for rate in (8_000, 16_000, 24_000, 32_000, 44_100)),
    *(("pcm", rate) for rate in (8_000, 16_000, 24_000, 32_000, 44_100)),
]
CODECS = {"mp3": "mp3", "opus": "opus", "wav": "pcm_s16le", "pcm": "pcm_s16le"}

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")


def probed(path: Path, *options: str) -> dict[str, Any]:
    """Return what ffprobe says of the only stream; a complaint fails the test."""
    shown = ["-show_entries", "stream=codec_name,sample_rate,channels,duration", "-of", "json"]
    command = ["ffprobe", "-v", "error", *options, *shown, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stderr == ""
    [stream] = json.loads(done.stdout)["streams"]
    return dict(stream)


@pytest.mark.parametrize("list_chunk", [False, True])
@pytest.mark.parametrize(("response_format", "rate"), RATES)
async def test_what_is_saved_is_what_was_asked_for(
    tmp_path: Path, response_format: ResponseFormat, rate: int, list_chunk: bool
) -> None:
    path = tmp_path / f"speech.{response_format}"
    async with Emulator(delivery=Delivery(list_chunk=list_chunk)) as emulator:
        async with VoiceClient("sk-test", base_url=emulator.base_url) as client:
            async with client.stream_speech(
                TEXT, voice="anna", response_format=response_format, sample_rate=rate
            ) as speech:
                await speech.save(path)
    options = ["-f", "s16le", "-ar", str(rate), "-ac", "1"] if response_format == "pcm" else []
    stream = probed(path, *options)
    found = stream["codec_name"], int(stream["sample_rate"]), stream["channels"]
    assert found == (CODECS[response_format], rate, 1)
    assert float(stream["duration"]) == pytest.approx(SECONDS, abs=0.06)


async def test_what_was_spoken_can_be_a_reference(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    async with Emulator() as emulator, VoiceClient("sk-test", base_url=emulator.base_url) as client:
        async with client.stream_speech(TEXT, voice="anna", response_format="wav") as speech:
            await speech.save(path)
        async with client.stream_speech("再见", references=[Reference(path, TEXT)]) as speech:
            assert await speech.read()
