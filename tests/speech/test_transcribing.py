from __future__ import annotations

import json
import pickle
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.made import wav
from support.raw_server import Exchange, Script, raw_server
from support.recordings import MP3, OPUS, SPEECH, TEXT, WAV

from siliconflow_voice import (
    AudioSource,
    BadRequestError,
    InvalidResponseError,
    InvalidUploadError,
    PayloadTooLargeError,
    RetryPolicy,
    Segment,
    SourceConsumedError,
    Transcript,
    VoiceClient,
)
from siliconflow_voice.emulator import Emulator, Fault

DIARIZE = "XingChenAGI/XingChenASR-Diarize-V3.0"


def answering(document: Any, headers: str = "") -> Script:
    async def script(exchange: Exchange) -> None:
        await exchange.read_request()
        await exchange.answer(json.dumps(document).encode(), headers=headers)

    return script


async def transcript_of(document: Any, headers: str = "") -> Transcript:
    async with raw_server(answering(document, headers)) as server:
        async with VoiceClient("sk-test", base_url=server.base_url, retry=RetryPolicy.none()) as client:
            return await client.transcribe(SPEECH)


async def stream(audio: bytes) -> AsyncIterator[bytes]:
    yield audio


@pytest.mark.parametrize("audio", [MP3, str(MP3), SPEECH, AudioSource.of(SPEECH)])
async def test_a_recording_from_any_source_is_transcribed(
    client: VoiceClient, emulator: Emulator, audio: Any
) -> None:
    await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    transcript = await client.transcribe(audio)
    assert (str(transcript), transcript.language, transcript.segments) == (TEXT, "Chinese", None)
    assert transcript.trace_id is not None
    assert transcript.usage == {"type": "duration", "seconds": len(SPEECH) // 16_000}


async def test_files_and_streams_are_transcribed(client: VoiceClient) -> None:
    await client.upload_voice(MP3, custom_name="narrator", text=TEXT)
    with MP3.open("rb") as file:
        assert str(await client.transcribe(file)) == TEXT
    assert str(await client.transcribe(stream(SPEECH))) == TEXT


async def test_what_was_spoken_is_heard(client: VoiceClient, tmp_path: Path) -> None:
    for response_format in ("mp3", "wav", "opus"):
        async with client.stream_speech(
            f"in {response_format}", voice="anna", response_format=response_format
        ) as speech:
            await speech.save(tmp_path / "speech")
        assert str(await client.transcribe(tmp_path / "speech")) == f"in {response_format}"


FLAC = b"fLaC" + bytes(100)
M4A = b"\0\0\0\x20ftypM4A " + bytes(100)
WEBM = b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webm" + bytes(100)
OGG = b"OggS\0\2" + bytes(20) + b"\x01\x1e\x01vorbis" + bytes(100)


@pytest.mark.parametrize(
    ("audio", "name", "media_type"),
    [
        (SPEECH, "audio.mp3", "audio/mpeg"),
        (WAV.read_bytes(), "audio.wav", "audio/wav"),
        (OPUS.read_bytes(), "audio.ogg", "audio/ogg"),
        (OGG, "audio.ogg", "audio/ogg"),
        (FLAC, "audio.flac", "audio/flac"),
        (M4A, "audio.m4a", "audio/mp4"),
        (WEBM, "audio.webm", "audio/webm"),
    ],
    ids=["mp3", "wav", "opus", "ogg", "flac", "m4a", "webm"],
)
async def test_the_files_name_fits_its_content(audio: bytes, name: str, media_type: str) -> None:
    async with raw_server(answering({"text": "a"})) as server:
        async with VoiceClient("sk-test", base_url=server.base_url) as client:
            await client.transcribe(AudioSource.of(audio, filename="录音.wav"))
        (exchange,) = server.exchanges
    assert f'name="file"; filename="{name}"\r\nContent-Type: {media_type}\r\n\r\n'.encode() in exchange.body
    assert b'name="model"\r\n\r\nFunAudioLLM/SenseVoiceSmall\r\n' in exchange.body
    assert audio in exchange.body


async def test_the_emulator_takes_each_of_them(client: VoiceClient) -> None:
    for audio in (SPEECH, WAV, OPUS, OGG, FLAC, M4A, WEBM):
        assert (await client.transcribe(audio)).plain == "今天的天气真好，我们出去走走吧。"


@pytest.mark.parametrize("audio", [FLAC, M4A, WEBM, OGG])
async def test_an_upload_does_not_take_them(client: VoiceClient, audio: bytes) -> None:
    with pytest.raises(InvalidUploadError, match="supported: mp3, opus, pcm, wav"):
        await client.upload_voice(audio, custom_name="narrator", text=TEXT)


LONG = wav(bytes(8_000 * 3_601), fmt=b"\x01\0\x01\0@\x1f\0\0@\x1f\0\0\x01\0\x08\0")


@pytest.mark.parametrize(
    ("audio", "rule", "reason"),
    [
        (b"", "empty", "audio in memory is empty"),
        (
            b"<html>",
            "format",
            "is a page of HTML, not audio; supported: flac, m4a, mp3, ogg, opus, wav, webm",
        ),
        (
            AudioSource.of(bytes(100), content_type="audio/pcm"),
            "format",
            "put a wav header in front of the samples",
        ),
        (bytes(50_000_001), "too_large", "is 50,000,001 bytes; the limit is 50,000,000"),
        (LONG, "too_long", "lasts 3601.0 s; the limit is 3600 s"),
    ],
    ids=["empty", "html", "pcm", "large", "long"],
)
async def test_what_can_not_be_transcribed_is_refused(
    emulator: Emulator, client: VoiceClient, audio: Any, rule: str, reason: str
) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        await client.transcribe(audio)
    assert (caught.value.field, caught.value.rule) == ("audio", rule)
    assert reason in caught.value.reason
    assert emulator.requests == []


async def test_more_than_an_upload_may_have_is_transcribed(client: VoiceClient) -> None:
    audio = wav(bytes(6_000_000))
    assert (await client.transcribe(audio)).text


async def test_a_stream_that_turns_out_too_large_is_broken_off(client: VoiceClient) -> None:
    async def large() -> AsyncIterator[bytes]:
        yield SPEECH
        for _ in range(50):
            yield bytes(1_000_000)

    with pytest.raises(InvalidUploadError, match="a stream of more than 50,000,000 bytes"):
        await client.transcribe(large())


@pytest.mark.parametrize(("model", "rule"), [("", "empty"), (None, "type")])
async def test_a_model_has_a_name(client: VoiceClient, model: Any, rule: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        await client.transcribe(SPEECH, model=model)
    assert (caught.value.field, caught.value.rule) == ("model", rule)


async def test_without_limits_the_service_decides(emulator: Emulator) -> None:
    async with VoiceClient("sk-test", base_url=emulator.base_url, limits=None) as client:
        with pytest.raises(BadRequestError) as refused:
            await client.transcribe(b"<html>")
        with pytest.raises(PayloadTooLargeError) as too_large:
            await client.transcribe(SPEECH + bytes(50_000_000))
    assert (refused.value.code, too_large.value.code) == (20083, 20042)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.drop_answer(endpoint="transcribe"),
        Fault.truncate_answer(endpoint="transcribe"),
        Fault.return_status(500, endpoint="transcribe"),
        Fault.return_status(503, endpoint="transcribe"),
        Fault.return_status(200, body="nonsense", endpoint="transcribe"),
    ],
    ids=str,
)
async def test_a_lost_answer_is_asked_for_again(
    emulator: Emulator, client: VoiceClient, fault: Fault
) -> None:
    emulator.add_fault(fault)
    assert (await client.transcribe(MP3)).text
    assert [record.endpoint for record in emulator.requests] == ["transcribe"] * 2


async def test_a_stream_is_sent_once(emulator: Emulator, client: VoiceClient) -> None:
    emulator.add_fault(Fault.return_status(503, times=None, endpoint="transcribe"))
    with pytest.raises(SourceConsumedError):
        await client.transcribe(stream(SPEECH))


async def test_an_empty_text_is_an_answer(emulator: Emulator, client: VoiceClient) -> None:
    emulator.add_fault(Fault.return_status(200, body='{"text": ""}', endpoint="transcribe"))
    transcript = await client.transcribe(MP3)
    assert (transcript.text, str(transcript), transcript.plain) == ("", "", "")
    assert (transcript.language, transcript.duration, transcript.segments, transcript.usage) == (None,) * 4


async def test_a_text_comes_as_it_is() -> None:
    text = "🎼<|HAPPY|>你好。😊\n"
    transcript = await transcript_of(
        {"text": text, "language": "Chinese"}, "x-siliconcloud-trace-id: ti_1\r\n"
    )
    assert (transcript.text, transcript.plain, transcript.trace_id) == (text, "你好。", "ti_1")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("你好。😊", "你好。"),
        ("Hello 😊 world", "Hello world"),
        ("<|en|><|NEUTRAL|><|Speech|>Hello", "Hello"),
        ("👨‍👩‍👧 🇨🇳 👍🏽 ❤️ 1️⃣", "1"),
        ("a < b | c > d", "a < b | c > d"),
        ("价格 100 元…™", "价格 100 元…™"),
        ("1: a\n2: b", "1: a\n2: b"),
    ],
)
def test_plain_is_without_emojis_and_marks(text: str, plain: str) -> None:
    assert Transcript(text).plain == plain


async def test_speakers_are_told_apart(client: VoiceClient) -> None:
    transcript = await client.transcribe(WAV, model=DIARIZE)
    assert transcript.segments == (
        Segment(0.0, transcript.duration, "今天的天气真好，我们出去走走吧。😊", "1"),
    )
    assert transcript.text.startswith("1: ")
    assert pickle.loads(pickle.dumps(transcript)) == transcript  # noqa: S301 - our own


async def test_what_is_odd_in_an_answer_is_left_out() -> None:
    segments = [
        {"text": "a", "start": "0", "end": 1, "speaker": 2, "id": 5},
        {"text": "b", "start": float("nan"), "end": True, "speaker": False},
        {"text": None},
        "c",
    ]
    transcript = await transcript_of(
        {"text": "a b", "language": 5, "duration": "1", "segments": segments, "usage": [1], "more": 1}
    )
    assert transcript == Transcript(
        "a b", "5", None, (Segment(None, 1.0, "a", "2"), Segment(None, None, "b", None))
    )
    assert transcript.usage is None
    assert (await transcript_of({"text": "a", "segments": {}})).segments is None


@pytest.mark.parametrize("document", [{}, {"text": None}, [], "text", {"result": "text"}, None])
async def test_without_a_text_it_is_an_invalid_answer(document: Any) -> None:
    with pytest.raises(InvalidResponseError, match="HTTP 200, but a transcript was answered without a text"):
        await transcript_of(document)


async def test_a_code_with_200_is_the_refusal_that_it_stands_for() -> None:
    with pytest.raises(BadRequestError):
        await transcript_of({"code": 20083, "message": "format"})


@pytest.mark.parametrize(("kind", "one"), [("text-to-speech", "Cosy"), ("speech-to-text", "SenseVoice")])
async def test_models_are_listed_by_kind(client: VoiceClient, kind: Any, one: str) -> None:
    names = await client.list_models(kind)
    assert any(one in name for name in names)


async def test_the_kind_goes_into_the_query() -> None:
    async with raw_server(answering({"object": "list", "data": [{"id": "a"}, {"id": "b"}]})) as server:
        async with VoiceClient("sk-test", base_url=server.base_url) as client:
            assert await client.list_models("speech-to-text") == ["a", "b"]
        assert server.exchanges[0].head.startswith(b"GET /v1/models?sub_type=speech-to-text HTTP/1.1\r\n")


async def test_another_kind_is_refused(client: VoiceClient) -> None:
    with pytest.raises(
        InvalidUploadError, match="kind: 'video' is not one of text-to-speech, speech-to-text"
    ):
        await client.list_models("video")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "document", [{}, [], {"data": None}, {"data": [{"id": 5}]}, {"data": ["a"]}, "models"]
)
async def test_an_unknown_shape_is_never_an_empty_list(document: Any) -> None:
    async with raw_server(answering(document)) as server:
        async with VoiceClient("sk-test", base_url=server.base_url, retry=RetryPolicy.none()) as client:
            with pytest.raises(InvalidResponseError, match="the list of models has an unknown shape"):
                await client.list_models("text-to-speech")


async def test_a_refused_list_of_models_is_typed(emulator: Emulator) -> None:
    async with VoiceClient("sk-other", base_url=emulator.base_url) as client:
        with pytest.raises(Exception, match="Api key is invalid"):
            await client.list_models("text-to-speech")
