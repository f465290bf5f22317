"""OpenAI's own client, unchanged, against the emulator: many of the service's users call it with that."""

from __future__ import annotations

import wave
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from support.recordings import MP3, TEXT, WAV

from siliconflow_voice import VoiceClient
from siliconflow_voice.emulator import Emulator

COSY = "FunAudioLLM/CosyVoice2-0.5B"
SENSE = "FunAudioLLM/SenseVoiceSmall"


@pytest.fixture
async def other(emulator: Emulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key="sk-test", base_url=emulator.base_url, max_retries=0) as other:
        yield other


async def test_speech_is_streamed_to_a_file(other: openai.AsyncOpenAI, tmp_path: Path) -> None:
    path = tmp_path / "speech.mp3"
    async with other.audio.speech.with_streaming_response.create(
        model=COSY, voice=f"{COSY}:anna", input="你好，世界", response_format="mp3"
    ) as response:
        await response.stream_to_file(path)
    assert path.read_bytes().startswith(b"ID3")


async def test_an_uploaded_voice_speaks_at_a_rate_of_choice(
    client: VoiceClient, other: openai.AsyncOpenAI
) -> None:
    voice = await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    response = await other.audio.speech.create(
        model=COSY,
        voice=voice.uri,
        input="你好，世界",
        response_format="pcm",
        extra_body={"sample_rate": 16_000},
    )
    assert len(response.content) == 32_000


async def test_a_recording_is_transcribed(client: VoiceClient, other: openai.AsyncOpenAI) -> None:
    await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    transcription = await other.audio.transcriptions.create(model=SENSE, file=MP3)
    assert transcription.text == TEXT


async def test_what_it_speaks_is_heard_by_this_client(
    client: VoiceClient, other: openai.AsyncOpenAI, tmp_path: Path
) -> None:
    path = tmp_path / "speech.wav"
    async with client.stream_speech("hello", voice="anna", response_format="wav") as speech:
        await speech.save(path)
    with wave.open(str(path)) as read:
        assert read.getframerate() == 24_000
    transcription = await other.audio.transcriptions.create(model=SENSE, file=path)
    assert transcription.text == "hello"


async def test_models_are_listed(other: openai.AsyncOpenAI) -> None:
    assert COSY in [model.id async for model in other.models.list()]


async def test_a_mistake_is_its_own_error(other: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="Invalid voice") as caught:
        await other.audio.speech.create(model=COSY, voice="anna", input="你好")
    assert caught.value.body == {"code": 20047, "message": "Invalid voice", "data": None}
    with pytest.raises(openai.InternalServerError):
        await other.audio.transcriptions.create(model=SENSE, file=("audio.mp3", WAV.read_bytes()))
