from __future__ import annotations

import asyncio
import base64
import io
import json
import struct
import sys
import wave
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from yarl import URL

from siliconflow_voice import inspect_audio
from siliconflow_voice.emulator import Delivery, Emulator, Fault, Quota

COSY = "FunAudioLLM/CosyVoice2-0.5B"
GOOD = {"model": COSY, "input": "你好，世界", "voice": f"{COSY}:anna"}
REFERENCE = {"audio": "data:audio/mpeg;base64," + base64.b64encode(b"ID3a").decode(), "text": "a"}


async def speak(session: aiohttp.ClientSession, emulator: Emulator, **changes: Any) -> tuple[int, Any, bytes]:
    """Return the status, the JSON or None, and the body."""
    fields = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    body = io.BytesIO(json.dumps(fields).encode())  # aiohttp warns of large bytes
    async with session.post(f"{emulator.base_url}/audio/speech", data=body) as response:
        answer = await response.read()
        is_json = response.content_type == "application/json"
        return response.status, await response.json() if is_json else None, answer


def without_voice(**fields: Any) -> dict[str, Any]:
    return {"voice": None, **fields}


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"model": None}, 400, 20012),
        ({"model": 5}, 400, 20012),
        ({"model": "unknown"}, 400, 20012),
        ({"model": "fishaudio/fish-speech-1.5"}, 403, 30003),
        ({"model": "IndexTeam/IndexTTS-2"}, 403, 30003),
        ({"input": None}, 400, 20018),
        ({"input": ""}, 400, 20018),
        ({"input": "a" * 128_001}, 400, 20050),
        (without_voice(), 400, 20052),
        (without_voice(references=[]), 400, 20052),
        ({"references": [REFERENCE]}, 400, 20053),
        ({"voice": "anna"}, 400, 20047),
        ({"voice": 1}, 400, 20047),
        ({"voice": f"{COSY}:bob"}, 400, 20047),
        ({"voice": "other:anna"}, 400, 20047),
        ({"voice": "speech:a:b:c"}, 400, 20059),
        (without_voice(references="a"), 400, 20015),
        (without_voice(references=["a"]), 400, 20046),
        (without_voice(references=[{"text": "a"}]), 400, 20046),
        (without_voice(references=[REFERENCE, {"audio": REFERENCE["audio"]}]), 500, 50507),
        (without_voice(references=[{"audio": "https://a/b", "text": "a"}]), 400, 20022),
        (without_voice(references=[{"audio": "ID3a", "text": "a"}]), 400, 20049),
        (without_voice(references=[{"audio": "data:audio/mpeg;base64,?", "text": "a"}]), 400, 20049),
        (without_voice(references=[{"audio": "data:audio/mpeg;base64,", "text": "a"}]), 400, 20044),
        (
            without_voice(references=[{"audio": "data:a;base64," + "AAAA" * 1_666_667, "text": "a"}]),
            413,
            20045,
        ),
        ({"response_format": "flac"}, 400, 20082),
        ({"response_format": ["mp3"]}, 400, 20082),
        ({"sample_rate": 24_000}, 400, 20015),
        ({"sample_rate": "32000"}, 400, 20015),
        ({"sample_rate": False}, 400, 20015),
        ({"response_format": "opus", "sample_rate": 44_100}, 400, 20015),
        ({"speed": 0.1}, 400, 20061),
        ({"speed": "1"}, 400, 20061),
        ({"gain": 10.5}, 400, 20062),
        ({"max_tokens": 0}, 400, 20015),
        ({"stream": "yes"}, 400, 20015),
    ],
)
async def test_each_documented_mistake_has_its_code(
    session: aiohttp.ClientSession, emulator: Emulator, changes: dict[str, Any], status: int, code: int
) -> None:
    answered, document, _ = await speak(session, emulator, **changes)
    assert (answered, document["code"]) == (status, code)
    record = emulator.requests[-1]
    assert (record.endpoint, record.status, record.code) == ("speech", status, code)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
async def test_a_body_that_is_no_object_is_refused(
    session: aiohttp.ClientSession, emulator: Emulator, body: bytes
) -> None:
    async with session.post(f"{emulator.base_url}/audio/speech", data=body) as response:
        assert (response.status, (await response.json())["code"]) == (400, 20015)


async def test_a_model_of_the_account_speaks_unless_it_is_disabled(session: aiohttp.ClientSession) -> None:
    async with Emulator(models=["own/model", "IndexTeam/IndexTTS-2"], max_audio_bytes=3) as emulator:
        assert (await speak(session, emulator, model="own/model", voice="own/model:anna"))[0] == 200
        assert (await speak(session, emulator, model="IndexTeam/IndexTTS-2"))[1]["code"] == 30003
        assert (await speak(session, emulator, **without_voice(references=[REFERENCE])))[1]["code"] == 20045


async def test_references_speak(session: aiohttp.ClientSession, emulator: Emulator) -> None:
    status, _, body = await speak(session, emulator, **without_voice(references=[REFERENCE, REFERENCE]))
    assert (status, body[:3]) == (200, b"ID3")


@pytest.mark.parametrize("rate", [None, 8_000, 16_000, 24_000, 32_000, 44_100])
async def test_pcm_is_as_long_as_its_text(
    session: aiohttp.ClientSession, emulator: Emulator, rate: int | None
) -> None:
    _, _, body = await speak(session, emulator, response_format="pcm", sample_rate=rate)
    assert len(body) == (rate or 44_100) * 2
    _, _, fast = await speak(session, emulator, response_format="pcm", sample_rate=rate, speed=2)
    assert len(fast) == len(body) // 2


@pytest.mark.parametrize("list_chunk", [False, True])
async def test_a_wav_has_placeholders_for_its_sizes(session: aiohttp.ClientSession, list_chunk: bool) -> None:
    async with Emulator(delivery=Delivery(list_chunk=list_chunk)) as emulator:
        _, _, body = await speak(session, emulator, response_format="wav", sample_rate=16_000)
    data = body.index(b"data")
    assert (body[4:8], body[data + 4 : data + 8]) == (b"\xff\xff\xff\xff", b"\xdb\xff\xff\xff")
    assert (b"LIST" in body[:data]) is list_chunk
    with wave.open(io.BytesIO(body[: data + 4] + struct.pack("<I", 32_000) + body[data + 8 :])) as read:
        assert (read.getframerate(), read.getnchannels(), read.getnframes()) == (16_000, 1, 16_000)


async def test_it_comes_in_chunks_with_its_type_and_trace_id(
    session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    for response_format, content_type in (
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
    ):
        fields = {**GOOD, "response_format": response_format}
        async with session.post(f"{emulator.base_url}/audio/speech", json=fields) as response:
            assert response.headers["Content-Type"] == content_type
            assert response.headers["Transfer-Encoding"] == "chunked"
            assert "Content-Length" not in response.headers
            assert response.headers["x-siliconcloud-trace-id"].startswith("ti_")


async def test_the_content_type_can_be_chosen(session: aiohttp.ClientSession) -> None:
    async with Emulator(delivery=Delivery(content_type="application/octet-stream")) as emulator:
        async with session.post(f"{emulator.base_url}/audio/speech", json=GOOD) as response:
            assert response.headers["Content-Type"] == "application/octet-stream"


async def test_the_first_chunk_and_the_others_can_be_late(session: aiohttp.ClientSession) -> None:
    async with Emulator(delivery=Delivery(first_after=0.05, pause=0.01)) as emulator:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await speak(session, emulator)
        assert loop.time() - began >= 0.05 + 3 * 0.01


@pytest.mark.parametrize(
    "make",
    [
        lambda: Delivery(chunk_bytes=0),
        lambda: Delivery(first_after=-1.0),
        lambda: Delivery(pause=-1.0),
    ],
)
def test_an_impossible_delivery_is_refused(make: Callable[[], Delivery]) -> None:
    with pytest.raises(ValueError, match="must"):
        make()


async def test_the_same_text_never_sounds_the_same_twice(
    session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    for response_format in ("mp3", "opus", "wav", "pcm"):
        (_, _, first), (_, _, second) = [
            await speak(session, emulator, response_format=response_format) for _ in range(2)
        ]
        assert first != second


async def test_without_an_encoder_it_is_silence_of_the_same_length(
    session: aiohttp.ClientSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, tone = await speak(session, emulator)
    monkeypatch.setitem(sys.modules, "av", None)
    for response_format in ("mp3", "opus"):
        for text in ("你好，世界", "a" * 70):
            _, _, first = await speak(session, emulator, input=text, response_format=response_format)
            _, _, second = await speak(session, emulator, input=text, response_format=response_format)
            assert (first != second, len(first), first != tone) == (True, len(second), True)
            facts = await inspect_audio(first)
            assert facts.format == response_format
            assert facts.duration == pytest.approx(len(text) * 0.2, abs=0.04)


async def test_long_speech_is_not_encoded(session: aiohttp.ClientSession, emulator: Emulator) -> None:
    _, _, long = await speak(session, emulator, input="a" * 1_000)
    assert bytes(400) in long
    assert (await inspect_audio(long)).duration == pytest.approx(200, abs=0.04)


async def test_a_quota_counts_speech_by_itself_and_its_bytes(session: aiohttp.ClientSession) -> None:
    async with Emulator(quota=Quota(tokens=20)) as emulator:
        assert [(await speak(session, emulator, input=text))[0] for text in ("你好", "a" * 14, "a")] == [
            200,
            200,
            429,
        ]
        status, document, _ = await speak(session, emulator, model="fnlp/MOSS-TTSD-v0.5", input="a")
        assert (status, document) == (200, None)
        emulator.quota = Quota(requests=1, told_as=403)
        status, document, _ = await speak(session, emulator)
        assert (status, document.startswith("RPM limit exceeded")) == (403, True)
        emulator.quota = None
        assert (await speak(session, emulator))[0] == 200


async def test_a_stream_can_be_cut_off_in_the_middle(session: aiohttp.ClientSession) -> None:
    faults = [Fault.truncate_answer(5_000, endpoint="speech")]
    async with Emulator(faults=faults) as emulator:
        async with session.post(f"{emulator.base_url}/audio/speech", json=GOOD) as response:
            assert len(await response.content.readexactly(5_000)) == 5_000
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.content.readany()
        assert emulator.unmet_faults == ()


async def test_a_stream_can_stall_in_the_middle(session: aiohttp.ClientSession) -> None:
    async with Emulator(faults=[Fault.stall_answer(5_000, endpoint="speech")]) as emulator:
        async with session.post(f"{emulator.base_url}/audio/speech", json=GOOD) as response:
            assert len(await response.content.readexactly(5_000)) == 5_000
            assert response.content.is_eof() is False
        assert emulator.unmet_faults == ()


async def test_a_client_that_leaves_in_the_middle_is_let_go(
    session: aiohttp.ClientSession, until: Callable[..., Any]
) -> None:
    async with Emulator(delivery=Delivery(pause=0.01)) as emulator:
        fields = {**GOOD, "input": "a" * 1_000}
        async with session.post(f"{emulator.base_url}/audio/speech", json=fields) as response:
            await response.content.readany()
        await until(lambda: emulator.in_flight == 0)


async def transcribe(
    session: aiohttp.ClientSession,
    emulator: Emulator,
    audio: bytes | None,
    name: str = "a.mp3",
    model: str | None = "FunAudioLLM/SenseVoiceSmall",
) -> tuple[int, Any]:
    form = aiohttp.FormData({"more": "ignored"}, default_to_multipart=True)
    if audio is not None:
        form.add_field("file", io.BytesIO(audio), filename=name)
    if model is not None:
        form.add_field("model", model)
    async with session.post(f"{emulator.base_url}/audio/transcriptions", data=form) as response:
        return response.status, await response.json()


@pytest.mark.parametrize(
    ("submitted", "refusal"),
    [
        ((b"ID3", "a.mp3", None), (400, 20012)),
        ((b"ID3", "a.mp3", "unknown"), (400, 20012)),
        ((None, "", "FunAudioLLM/SenseVoiceSmall"), (400, 20018)),
        ((b"", "a.mp3", "FunAudioLLM/SenseVoiceSmall"), (400, 20044)),
        ((bytes(50_000_001), "a.mp3", "FunAudioLLM/SenseVoiceSmall"), (413, 20042)),
        ((b"ID3", "a.txt", "FunAudioLLM/SenseVoiceSmall"), (400, 20083)),
        ((b"ID3", "", "FunAudioLLM/SenseVoiceSmall"), (400, 20083)),
        ((b"\x1aE\xdf\xa3", "a.wav", "FunAudioLLM/SenseVoiceSmall"), (500, 50507)),
        ((b"ID3", "a.ogg", "FunAudioLLM/SenseVoiceSmall"), (500, 50507)),
    ],
    ids=range(9),
)
async def test_each_mistake_in_a_request_for_a_transcript_has_its_code(
    session: aiohttp.ClientSession,
    emulator: Emulator,
    submitted: tuple[bytes | None, str, str | None],
    refusal: tuple[int, int],
) -> None:
    answered, document = await transcribe(session, emulator, *submitted)
    assert (answered, document["code"]) == refusal


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b""),
        (
            "multipart/form-data; boundary=a",
            b"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n--a--",
        ),
    ],
)
async def test_a_form_that_is_none_is_refused(
    session: aiohttp.ClientSession, emulator: Emulator, content_type: str, body: bytes
) -> None:
    url, headers = f"{emulator.base_url}/audio/transcriptions", {"Content-Type": content_type}
    async with session.post(url, data=body, headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (400, 20015)


async def test_no_more_parts_than_there_may_be_are_read(
    session: aiohttp.ClientSession, emulator: Emulator
) -> None:
    form = aiohttp.FormData([(f"part{n}", "a") for n in range(120)])
    form.add_field("model", "FunAudioLLM/SenseVoiceSmall", content_type="text/plain")
    async with session.post(f"{emulator.base_url}/audio/transcriptions", data=form) as response:
        assert (response.status, (await response.json())["code"]) == (400, 20012)


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("FunAudioLLM/SenseVoiceSmall", {"text", "language", "usage"}),
        ("XingChenAGI/XingChenASR-V3.2", {"text", "duration", "usage"}),
        ("XingChenAGI/XingChenASR-Diarize-V3.0", {"text", "duration", "usage", "segments"}),
    ],
)
async def test_each_model_answers_as_it_was_seen_to(
    session: aiohttp.ClientSession, emulator: Emulator, model: str, keys: set[str]
) -> None:
    status, document = await transcribe(session, emulator, b"ID3" + bytes(32_000), model=model)
    assert (status, document.keys()) == (200, keys)
    assert document["usage"] == {"type": "duration", "seconds": 2}


async def test_it_hears_what_was_spoken_last_and_forgets_what_was_long_ago(
    session: aiohttp.ClientSession, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("siliconflow_voice.emulator.account._SPOKEN_KEPT", 2)
    spoken = [(await speak(session, emulator, input=f"text {n}"))[2] for n in range(3)]
    heard = [(await transcribe(session, emulator, audio))[1] for audio in spoken]
    assert [answer["text"] for answer in heard][1:] == ["text 1", "text 2"]
    assert heard[0]["text"] == "今天的天气真好，我们出去走走吧。😊"
    assert [answer["language"] for answer in heard] == ["Chinese", "English", "English"]


async def test_a_quota_counts_transcripts(session: aiohttp.ClientSession) -> None:
    async with Emulator(quota=Quota(requests=1)) as emulator:
        assert [(await transcribe(session, emulator, b"ID3"))[0] for _ in range(2)] == [200, 429]


@pytest.mark.parametrize(
    ("kind", "count"), [("text-to-speech", 2), ("speech-to-text", 6), ("video", 0), (None, 8)]
)
async def test_models_are_listed_by_their_kind(
    session: aiohttp.ClientSession, emulator: Emulator, kind: str | None, count: int
) -> None:
    url = URL(f"{emulator.base_url}/models").with_query({"sub_type": kind} if kind else {})
    async with session.get(url) as response:
        document = await response.json()
    assert (document["object"], len({model["id"] for model in document["data"]})) == ("list", count)
