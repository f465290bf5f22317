from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.made import frames, id3, mpeg
from support.recordings import FOLDER

from siliconflow_voice.audio.catalogue import FORMATS
from siliconflow_voice.audio.formats import AudioFacts, facts_of

MP3 = frames(1)


def in_memory(data: bytes, content_type: str | None = None) -> AudioFacts:
    return facts_of(data, len(data), content_type, None)


def opened(data: bytes) -> BinaryIO:
    return io.BytesIO(data)


@pytest.mark.parametrize(
    ("name", "audio_format", "media_type", "seconds"),
    [
        # As ffmpeg decodes them.
        ("patience-zh.mp3", "mp3", "audio/mpeg", 5.592),
        ("shells-en.mp3", "mp3", "audio/mpeg", 2.6905),
        ("patience-en.wav", "wav", "audio/wav", 3.63325),
        ("patience-en.opus", "opus", "audio/ogg", 3.63325),
        ("dream-zh.opus", "opus", "audio/ogg", 6.7296),
    ],
)
def test_a_recording_is_known_by_format_media_type_and_duration(
    name: str, audio_format: str, media_type: str, seconds: float
) -> None:
    data = (FOLDER / name).read_bytes()
    facts = in_memory(data)
    assert (facts.size, facts.format, facts.media_type) == (len(data), audio_format, media_type)
    assert facts.duration == pytest.approx(seconds, abs=0.06)


@pytest.mark.parametrize("head", [4, 4096, 200_000])
def test_what_is_read_from_a_file_is_what_is_known_in_memory(head: int) -> None:
    data = id3(5_000) + frames(20)
    facts = facts_of(data[:head], len(data), None, partial(opened, data))
    assert facts == in_memory(data)
    assert facts.duration == pytest.approx(20.0, abs=0.02)


def test_a_duration_is_not_measured_unasked() -> None:
    assert facts_of(MP3, len(MP3), None, None, measure=False).duration is None


def test_of_what_is_too_large_only_the_beginning_is_looked_at() -> None:
    def whole() -> BinaryIO:
        raise AssertionError("it was opened")

    facts = facts_of(MP3, 10**9, None, whole, most=5_000_000)
    assert facts == AudioFacts(10**9, "mp3", "audio/mpeg")


def test_of_what_is_as_large_as_allowed_all_is_looked_at() -> None:
    assert facts_of(MP3, len(MP3), None, None, most=len(MP3)).duration is not None


@pytest.mark.parametrize("beginning", [MP3, id3(100_000)[:4_096]])
def test_of_a_stream_the_beginning_tells_the_format_alone(beginning: bytes) -> None:
    assert facts_of(beginning, None, None, None) == AudioFacts(None, "mp3", "audio/mpeg")


def test_a_file_that_shrinks_as_it_is_looked_at_is_described_all_the_same() -> None:
    facts = facts_of(MP3, 10 * len(MP3), None, partial(opened, MP3))
    assert (facts.size, facts.format) == (10 * len(MP3), "mp3")


def test_what_is_not_recognised_has_no_format() -> None:
    assert in_memory(bytes(range(256))) == AudioFacts(256, None, "application/octet-stream")


@pytest.mark.parametrize(
    ("audio_format", "extension"), [("mp3", "mp3"), ("flac", "flac"), (None, "bin"), ("unheard of", "bin")]
)
def test_a_format_has_its_extension(audio_format: str | None, extension: str) -> None:
    assert AudioFacts(1, audio_format, "audio/x").extension == extension


def test_each_format_has_a_media_type_an_extension_and_advice() -> None:
    lacking = [word for word, known in FORMATS.items() if not (known.advice and known.title)]
    assert lacking == []
    assert [word for word, known in FORMATS.items() if known.media_type.count("/") != 1] == []


def test_a_declared_media_type_goes_over_the_wire() -> None:
    assert in_memory(b"\0words", "audio/x-mine").media_type == "audio/x-mine"


def test_the_content_tells_the_format_whatever_is_declared() -> None:
    assert in_memory(MP3, "audio/wav").format == "mp3"


@pytest.mark.parametrize("declared", ["audio/mpeg", "audio/mp3", "Audio/X-MPEG; rate=1"])
def test_what_is_declared_as_mp3_is_taken_for_it_where_the_content_does_not_tell(declared: str) -> None:
    free_format = (b"\xff\xfb\x00\xc4" + bytes(600)) * 20
    assert (in_memory(free_format).format, in_memory(free_format, declared).format) == (None, "mp3")


@pytest.mark.parametrize(
    "data", [b"<html>", b'{"code": 20012}', bytes(100), b"RIFFabcdWAVE", b"\xff\xd8\xff"]
)
def test_what_is_something_else_is_not_taken_for_mp3_as_declared(data: bytes) -> None:
    assert in_memory(data, "audio/mpeg").format != "mp3"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("audio/pcm", None),
        ("audio/pcm; rate=0", None),
        ("audio/pcm; rate=8000", 4.0),
        ("audio/x-pcm;rate=16000", 2.0),
        ("audio/L16; rate=16000; channels=2", 1.0),
        ("AUDIO/l16; CHANNELS=2; RATE=16000", 1.0),
        ("audio/pcm; rate=" + "9" * 5_000, None),
    ],
)
def test_raw_samples_are_as_declared(content_type: str, expected: float | None) -> None:
    facts = facts_of(mpeg(128), 64_000, content_type, None)
    assert facts == AudioFacts(64_000, "pcm", content_type, expected)


def test_raw_samples_of_unknown_size_have_no_duration() -> None:
    content_type = "audio/L16; rate=16000"
    assert facts_of(b"", None, content_type, None) == AudioFacts(None, "pcm", content_type)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(FOLDER.iterdir())),
    st.lists(st.tuples(st.integers(0, 200), st.binary(min_size=1, max_size=8)), max_size=8),
    st.integers(0, 60_000),
)
def test_a_damaged_recording_is_described_all_the_same(
    path: Path, damages: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(path.read_bytes())
    for position, damage in damages:
        data[position : position + len(damage)] = damage
    del data[length:]
    facts = in_memory(bytes(data))
    assert facts.size == len(data)
    assert facts.duration is None or 0 <= facts.duration < 10**6
    assert facts.format in {*FORMATS, None}


BEGINNINGS = [
    b"", b"ID3\3\0\0", b"OggS\0\2", b"RIFF____WAVE", b"RIFX____WAVE",
    b"RF64____WAVEds64", b"\xff\xfb\x90\xc4",
    b"\xff\xf1", b"APETAGEX", b"TAG", bytes(16), b"\xff\xfe", b"data:", b"{",
]  # fmt: skip
PIECES = st.one_of(
    st.binary(max_size=64),
    st.sampled_from([*BEGINNINGS, mpeg(128), mpeg(32), id3(9), b"fmt \x10\0\0\0", b"data\0\0\0\0"]),
)


@settings(deadline=None)
@given(
    st.lists(PIECES, max_size=12).map(b"".join), st.integers(0, 400), st.sampled_from([None, "audio/mpeg"])
)
def test_any_bytes_are_described_alike_from_memory_and_from_a_file(
    data: bytes, head: int, content_type: str | None
) -> None:
    facts = in_memory(data, content_type)
    assert facts.format in {*FORMATS, None}
    assert facts_of(data[:head], len(data), content_type, partial(opened, data)) == facts
    assert facts_of(data[:head], None, content_type, None).duration is None
