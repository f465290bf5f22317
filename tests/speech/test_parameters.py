from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from siliconflow_voice import AudioLimits, InvalidUploadError, Reference, Voice, VoiceClient

COSY = "FunAudioLLM/CosyVoice2-0.5B"
MOSS = "fnlp/MOSS-TTSD-v0.5"
URI = "speech:narrator:a:b"


@pytest.fixture(params=[True, False], ids=["limited", "unlimited"])
async def any_client(request: pytest.FixtureRequest) -> AsyncIterator[VoiceClient]:
    limits = AudioLimits() if request.param else None
    async with VoiceClient("sk-test", limits=limits) as client:
        yield client


@pytest.fixture
async def unlimited() -> AsyncIterator[VoiceClient]:
    async with VoiceClient("sk-test", limits=None) as client:
        yield client


def fields_of(client: VoiceClient, text: Any = "hello", **options: Any) -> dict[str, Any]:
    return client.stream_speech(text, **{"voice": "anna", **options})._parameters.fields()


def refusal_of(client: VoiceClient, text: Any = "hello", **options: Any) -> tuple[str, str, str]:
    with pytest.raises(InvalidUploadError) as caught:
        fields_of(client, text, **options)
    return caught.value.field, caught.value.rule, caught.value.reason


REFUSED: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"text": 5}, ("text", "type", "expected str, not int")),
    ({"text": "\ud800"}, ("text", "text", "has a lone surrogate, which UTF-8 can't carry")),
    ({"model": ""}, ("model", "empty", "is empty")),
    ({"model": b"m"}, ("model", "type", "expected str, not bytes")),
    ({"model": "a\nb"}, ("model", "name", "has the control character '\\n'")),
    (
        {"voice": None},
        ("voice", "required", "is required: pass a Voice, a uri, or a preset's name; or pass references"),
    ),
    ({"voice": 5}, ("voice", "type", "expected a Voice or str, not int")),
    ({"voice": " "}, ("voice", "empty", "is empty")),
    ({"voice": Voice("", COSY, "a", "b")}, ("voice", "empty", "is empty")),
    ({"voice": "\udfff"}, ("voice", "text", "has a lone surrogate, which UTF-8 can't carry")),
    (
        {"references": [Reference(b"", "a")]},
        ("references", "combination", "can't be passed together with voice: pass one of them"),
    ),
    (
        {"voice": None, "references": 5},
        ("references", "type", "expected a list of Reference(audio, text), not int"),
    ),
    (
        {"voice": None, "references": ["a"]},
        ("references[0]", "type", "expected Reference(audio, text), not str"),
    ),
    (
        {"voice": None, "references": [Reference(b"", "a"), Reference(b"", " ")]},
        ("references[1].text", "empty", "is empty; it must be what is spoken in the audio, word for word"),
    ),
    (
        {"voice": None, "references": [Reference(b"", 5)]},  # type: ignore[arg-type]
        ("references[0].text", "type", "expected str, not int"),
    ),
    ({"response_format": "flac"}, ("response_format", "choice", "'flac' is not one of mp3, opus, wav, pcm")),
    ({"sample_rate": "32000"}, ("sample_rate", "type", "must be a whole number from 1, got '32000'")),
    ({"sample_rate": 0}, ("sample_rate", "type", "must be a whole number from 1, got 0")),
    ({"speed": "1"}, ("speed", "type", "must be a number, got '1'")),
    ({"gain": float("nan")}, ("gain", "type", "must be a number, got nan")),
    ({"gain": True}, ("gain", "type", "must be a number, got True")),
    ({"max_tokens": 1.5, "model": MOSS}, ("max_tokens", "type", "must be a whole number from 1, got 1.5")),
]
OUT_OF_LIMITS: list[tuple[dict[str, Any], tuple[str, str, str]]] = [
    ({"text": " \n"}, ("text", "empty", "is empty")),
    ({"text": "a" * 128_001}, ("text", "too_long", "has 128,001 characters; the limit is 128,000")),
    ({"speed": 0.2}, ("speed", "range", "must be from 0.25 to 4, got 0.2")),
    ({"speed": 4.1}, ("speed", "range", "must be from 0.25 to 4, got 4.1")),
    ({"gain": -11}, ("gain", "range", "must be from -10 to 10, got -11")),
    ({"max_tokens": 40_000, "model": MOSS}, ("max_tokens", "range", "must be from 1 to 32768, got 40000")),
    (
        {"max_tokens": 100},
        ("max_tokens", "combination", f"is not for {COSY}: leave it out, or use a MOSS model"),
    ),
    (
        {"sample_rate": 24_000},
        ("sample_rate", "combination", "24000 is not supported for mp3; supported: 32000, 44100"),
    ),
    (
        {"sample_rate": 44_100, "response_format": "opus"},
        ("sample_rate", "combination", "44100 is not supported for opus; supported: 48000"),
    ),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED)
async def test_what_can_not_be_sent_is_refused_at_once(
    any_client: VoiceClient, options: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert refusal_of(any_client, **options) == expected


@pytest.mark.parametrize(("options", "expected"), OUT_OF_LIMITS)
async def test_what_is_outside_the_documented_limits_is_refused(
    client: VoiceClient, unlimited: VoiceClient, options: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    assert refusal_of(client, **options) == expected
    assert fields_of(unlimited, **options)["input"] == options.get("text", "hello")


@pytest.mark.parametrize(
    ("response_format", "rates"),
    [
        ("mp3", [32_000, 44_100]),
        ("opus", [48_000]),
        ("wav", [24_000, 8_000, 16_000, 32_000, 44_100]),
        ("pcm", [24_000, 8_000, 16_000, 32_000, 44_100]),
    ],
)
async def test_each_documented_rate_is_accepted_and_one_is_always_sent(
    client: VoiceClient, response_format: str, rates: list[int]
) -> None:
    sent = [
        fields_of(client, response_format=response_format, sample_rate=rate)["sample_rate"]
        for rate in (None, *rates)
    ]
    assert sent == [rates[0], *rates]


@pytest.mark.parametrize(
    ("voice", "model", "sent", "by"),
    [
        ("anna", None, f"{COSY}:anna", COSY),
        ("anna", MOSS, f"{MOSS}:anna", MOSS),
        (f"{MOSS}:anna", MOSS, f"{MOSS}:anna", MOSS),
        (URI, None, URI, COSY),
        (Voice(URI, MOSS, "narrator", ""), None, URI, MOSS),
        (Voice(URI, MOSS, "narrator", ""), COSY, URI, COSY),
        (Voice(URI, "", "narrator", ""), None, URI, COSY),
    ],
)
async def test_a_preset_is_qualified_with_the_model_and_a_voice_brings_its_own(
    client: VoiceClient, voice: Any, model: str | None, sent: str, by: str
) -> None:
    fields = fields_of(client, voice=voice, model=model)
    assert (fields["voice"], fields["model"]) == (sent, by)


async def test_limits_are_inclusive(client: VoiceClient) -> None:
    for options in ({"speed": 0.25, "gain": -10}, {"speed": 4, "gain": 10.0}):
        fields = fields_of(client, **options)
        assert {name: fields[name] for name in options} == options
    assert fields_of(client, "a" * 128_000, model=MOSS, max_tokens=32_768)["max_tokens"] == 32_768


@pytest.mark.parametrize(("references", "count"), [(None, 0), ([], 0), (Reference(b"", "a"), 1)])
async def test_a_single_reference_and_none_are_taken(
    client: VoiceClient, references: Any, count: int
) -> None:
    speech = client.stream_speech("hello", voice=None if count else "anna", references=references)
    assert len(speech._parameters.references) == count


async def test_there_is_no_voice_where_there_are_references(client: VoiceClient) -> None:
    assert "voice" not in fields_of(client, voice=None, references=[Reference(b"", "a")])


def test_a_reference_shows_no_audio() -> None:
    assert repr(Reference(b"audio", "text")) == "Reference(audio=<bytes>, text='text')"
