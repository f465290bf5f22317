from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from siliconflow_voice.audio.checks import AudioLimits, audio_refusal, check_audio, check_texts
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError

DEFAULT = AudioLimits()
LIFTED = AudioLimits(formats=None, max_seconds=None, max_bytes=None, name_pattern=None)
GOOD = {"custom_name": "narrator", "text": "慢工出细活", "model": "FunAudioLLM/CosyVoice2-0.5B"}
RECORDING = AudioFacts(5_000_000, "mp3", "audio/mpeg", 30.0)


def refusal_of_texts(limits: AudioLimits | None, **changes: Any) -> tuple[str, str] | None:
    try:
        check_texts(limits, **GOOD | changes)
    except InvalidUploadError as error:
        return error.field, error.reason
    return None


def refusal_of_audio(limits: AudioLimits | None, **changes: Any) -> tuple[str, str] | None:
    try:
        check_audio(limits, evolve(RECORDING, **changes), "it")
    except InvalidUploadError as error:
        return error.field, error.reason
    return None


@pytest.mark.parametrize("limits", [DEFAULT, LIFTED, None])
@pytest.mark.parametrize(
    "texts",
    [
        {"text": "\u200b慢"},
        {"text": "…"},
        {"text": "🙂"},
        {"text": "\ue000"},
        {},
        {"custom_name": "a"},
        {"custom_name": "Az09_-" + "x" * 58},
        {"text": " 慢\n"},
    ],
)
def test_good_texts_pass(limits: AudioLimits | None, texts: dict[str, str]) -> None:
    assert refusal_of_texts(limits, **texts) is None


SUPPORTED = "supported: mp3, opus, pcm, wav"
SPOKEN = "it must be what is spoken in the audio, word for word"
INVISIBLE = [
    "\u200b",
    "\ufeff\u2060 ",
    "\u3164\u115f\u1160\uffa0",
    "\u2800",
    "\u202e\u2066",
    "\u0301",
    "\ufe0f",
    "\U000e0041",
    "\x07",
]
PATTERN = "[A-Za-z0-9_-]{1,64}"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("custom_name", "", "is empty"),
        ("custom_name", "two words", f"'two words' does not match {PATTERN}: it has ' '"),
        ("custom_name", "a/b", f"'a/b' does not match {PATTERN}: it has '/'"),
        ("custom_name", "旁白", f"'旁白' does not match {PATTERN}: it has '旁'"),
        ("custom_name", "x" * 65, f"'{'x' * 65}' does not match {PATTERN}: it has 65 characters"),
        ("custom_name", "x" * 80, f"'{'x' * 80}' does not match {PATTERN}: it has 80 characters"),
        ("custom_name", "x" * 81, f"'{'x' * 77}...' does not match {PATTERN}: it has 81 characters"),
        ("custom_name", "a\r\nb", r"has the control character '\r'"),
        ("custom_name", "narrator\n", r"has the control character '\n'"),
        ("model", "", "is empty"),
        ("model", "a\nb", r"has the control character '\n'"),
        ("model", "a\x7fb", r"has the control character '\x7f'"),
        ("text", "", f"is empty; {SPOKEN}"),
        ("text", " \n\t　", f"is empty; {SPOKEN}"),
        *[("text", text, f"has nothing visible in it; {SPOKEN}") for text in INVISIBLE],
        ("text", "a\0b", "has a NUL character"),
    ],
)
def test_a_text_that_breaks_a_rule_is_refused_by_it(field: str, value: str, reason: str) -> None:
    assert refusal_of_texts(DEFAULT, **{field: value}) == (field, reason)


@pytest.mark.parametrize("limits", [DEFAULT, None])
@pytest.mark.parametrize("field", ["custom_name", "text", "model"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "expected str, not NoneType"),
        (5, "expected str, not int"),
        (b"narrator", "expected str, not bytes"),
        ("\ud800", "has a lone surrogate, which UTF-8 can't carry"),
    ],
)
def test_what_can_not_be_sent_is_refused_even_without_limits(
    limits: AudioLimits | None, field: str, value: object, reason: str
) -> None:
    assert refusal_of_texts(limits, **{field: value}) == (field, reason)


@pytest.mark.parametrize(
    ("field", "value"),
    [("custom_name", ""), ("custom_name", "旁白"), ("model", ""), ("text", ""), ("text", "\0")],
)
def test_without_limits_any_text_passes(field: str, value: str) -> None:
    assert refusal_of_texts(None, **{field: value}) is None


@pytest.mark.parametrize("name", ["旁白", "two words", "x" * 65])
def test_without_a_pattern_any_name_passes(name: str) -> None:
    assert refusal_of_texts(LIFTED, custom_name=name) is None


def test_without_a_pattern_a_name_must_still_be_one() -> None:
    assert refusal_of_texts(LIFTED, custom_name="") == ("custom_name", "is empty")


def test_the_pattern_of_names_can_be_changed() -> None:
    limits = AudioLimits(name_pattern="[a-z]+")
    refusals = [refusal_of_texts(limits, custom_name=name) for name in ("narrator", "n4")]
    assert refusals == [None, ("custom_name", "'n4' does not match [a-z]+: it has 2 characters")]


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"format": "wav"},
        {"format": "opus"},
        {"format": "pcm"},
        {"size": None},
        {"size": 1},
        {"duration": None},
    ],
)
@pytest.mark.parametrize("limits", [DEFAULT, LIFTED, None])
def test_good_audio_passes(limits: AudioLimits | None, facts: dict[str, Any]) -> None:
    assert refusal_of_audio(limits, **facts) is None


@pytest.mark.parametrize(
    ("fact", "value", "reason"),
    [
        ("size", 5_000_001, "it is 5,000,001 bytes; the limit is 5,000,000"),
        (
            "format",
            "flac",
            f"it is flac; {SUPPORTED}; convert it first, for example with `ffmpeg -i FILE out.wav`",
        ),
        (
            "format",
            "git-lfs",
            f"it is a Git LFS pointer, not the recording; {SUPPORTED}; get it with `git lfs pull`",
        ),
        ("format", None, "it is not a recognised audio format; supported: mp3, opus, pcm, wav"),
        ("duration", 0.0, "it is empty: headers without any sound"),
        ("duration", 30.1, "it lasts 30.1 s; the limit is 30 s"),
        ("duration", 30.04, "it lasts 30.04 s; the limit is 30 s"),
        ("duration", 30.000_01, "it lasts 30.00001 s; the limit is 30 s"),
    ],
)
def test_audio_that_breaks_a_rule_is_refused_by_it(fact: str, value: object, reason: str) -> None:
    assert refusal_of_audio(DEFAULT, **{fact: value}) == ("audio", reason)


@pytest.mark.parametrize("limits", [DEFAULT, LIFTED, None])
def test_empty_audio_is_refused_even_without_limits(limits: AudioLimits | None) -> None:
    assert refusal_of_audio(limits, size=0) == ("audio", "it is empty")


@pytest.mark.parametrize("limits", [LIFTED, None])
def test_without_limits_any_audio_passes(limits: AudioLimits | None) -> None:
    assert refusal_of_audio(limits, size=10**12, format=None, duration=10**6) is None


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (AudioLimits(max_bytes=4_000_000), "it is 5,000,000 bytes; the limit is 4,000,000"),
        (AudioLimits(max_seconds=12.5), "it lasts 30.0 s; the limit is 12.5 s"),
        (
            AudioLimits(formats=frozenset({"wav", "flac"})),
            "it is mp3; supported: flac, wav; convert it first, for example with `ffmpeg -i FILE out.wav`",
        ),
        (AudioLimits(formats=frozenset({"pcm"})), "it is mp3; supported: pcm"),
    ],
)
def test_each_limit_can_be_changed(limits: AudioLimits, reason: str) -> None:
    assert refusal_of_audio(limits) == ("audio", reason)


@pytest.mark.parametrize(
    ("accepted", "found", "advice"),
    [
        ({"mp3"}, "wav", "; convert it first, for example with `ffmpeg -i FILE out.mp3`"),
        ({"mp3", "opus"}, "flac", "; convert it first, for example with `ffmpeg -i FILE out.mp3`"),
        ({"opus", "pcm"}, "flac", "; convert it first, for example with `ffmpeg -i FILE out.opus`"),
        ({"mp3", "wav"}, "pcm", "; put a wav header in front of the samples"),
        ({"mp3"}, "pcm", ""),
        ({"pcm"}, "flac", ""),
        ({"mp3"}, "git-lfs", "; get it with `git lfs pull`"),
    ],
)
def test_it_is_not_advised_to_convert_to_what_is_refused(accepted: set[str], found: str, advice: str) -> None:
    refused = refusal_of_audio(AudioLimits(formats=frozenset(accepted)), format=found)
    assert refused is not None
    assert refused[1].partition(f"supported: {', '.join(sorted(accepted))}")[2] == advice


@pytest.mark.parametrize("figure", ["max_seconds", "max_bytes"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), "30"])
def test_a_figure_of_no_use_is_an_error_of_the_configuration(figure: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AudioLimits(**{figure: value})
    assert caught.value.message == f"AudioLimits.{figure} must be a number above 0, got {value!r}"


@pytest.mark.parametrize("value", ["[a-z", 5, b"[a-z]"])
def test_a_pattern_of_no_use_is_an_error_of_the_configuration(value: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        AudioLimits(name_pattern=value)
    assert f"AudioLimits(name_pattern=…) takes a regular expression, not {value!r}" in caught.value.message


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"size": 0}, "empty"),
        ({"size": 5_000_001}, "too_large"),
        ({"format": "flac"}, "format"),
        ({"duration": 0.0}, "empty"),
        ({"duration": 31.0}, "too_long"),
    ],
)
def test_a_refusal_has_a_word_for_its_rule(changes: dict[str, Any], rule: str) -> None:
    refusal = audio_refusal(DEFAULT, evolve(RECORDING, **changes), "it")
    assert refusal is not None
    assert (refusal.field, refusal.rule) == ("audio", rule)


@pytest.mark.parametrize(
    ("texts", "rule"),
    [
        ({"custom_name": ""}, "empty"),
        ({"custom_name": "旁白"}, "name"),
        ({"model": "a\n"}, "name"),
        ({"text": ""}, "empty"),
        ({"text": "a\0"}, "text"),
        ({"text": "\ud800"}, "text"),
        ({"text": None}, "type"),
    ],
)
def test_so_has_that_of_a_text(texts: dict[str, Any], rule: str) -> None:
    with pytest.raises(InvalidUploadError) as caught:
        check_texts(DEFAULT, **GOOD | texts)
    assert caught.value.rule == rule


@pytest.mark.parametrize(("unsure", "refused"), [(0.0, True), (0.03, True), (0.05, False)])
def test_what_may_be_an_encoders_padding_is_not_held_against_a_recording(
    unsure: float, refused: bool
) -> None:
    refusal = audio_refusal(DEFAULT, evolve(RECORDING, duration=30.04, unsure=unsure), "it")
    assert (refusal is not None) == refused
