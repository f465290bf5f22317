from __future__ import annotations

import io
import os
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.recordings import FOLDER

from siliconflow_voice.audio.formats import AudioFacts, detect, facts_of, in_memory


def id3(tag_size: int) -> bytes:
    """Make an ID3v2 tag of 10 bytes and as many."""
    size = bytes(tag_size >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\x00\x00" + size + bytes(tag_size)


MP3_FRAME = b"\xff\xfb\x90\x64"

HEADS: dict[str, tuple[bytes, str | None]] = {
    "wav": (b"RIFF\x24\x00\x00\x00WAVEfmt ", "wav"),
    "another RIFF": (b"RIFF\x24\x00\x00\x00AVI LIST", None),
    "opus": (b"OggS" + bytes(24) + b"OpusHead", "opus"),
    "vorbis": (b"OggS" + bytes(24) + b"\x01vorbis", "ogg"),
    "opus, but too late": (b"OggS" + bytes(60) + b"OpusHead", "ogg"),
    "flac": (b"fLaC\x00\x00\x00\x22", "flac"),
    "webm": (b"\x1aE\xdf\xa3\x9fB\x86\x81", "webm"),
    "aiff": (b"FORM\x00\x00\x00\x00AIFF", "aiff"),
    "amr": (b"#!AMR\n", "amr"),
    "m4a": (b"\x00\x00\x00\x20ftypM4A ", "m4a"),
    "mp3, MPEG 1": (MP3_FRAME, "mp3"),
    "mp3, MPEG 2": (b"\xff\xf3\x80\xc4", "mp3"),
    "mp3, MPEG 2.5": (b"\xff\xe3\x18\xc4", "mp3"),
    "mp3 with a tag": (id3(54) + MP3_FRAME, "mp3"),
    "mp3 with a padded tag": (id3(54) + bytes(20) + MP3_FRAME, "mp3"),
    "mp3 with a tag longer than the head": (id3(100_000)[:4096], "mp3"),
    "mp3 with a tag cut off in its size": (b"ID3\x03\x00\x00\x00", None),
    "flac with a tag": (id3(54) + b"fLaC", "flac"),
    "text with a tag": (id3(54) + b"some words", None),
    "aac": (b"\xff\xf1\x50\x80", "aac"),
    "aac's layer in MPEG 2.5": (b"\xff\xe1\x50\x80", None),
    "layer 1": (b"\xff\xff\x90\x64", None),
    "layer 2": (b"\xff\xfd\x90\x64", None),
    "a reserved version": (b"\xff\xeb\x90\x64", None),
    "a free bitrate": (b"\xff\xfb\x00\x64", None),
    "a bad bitrate": (b"\xff\xfb\xf0\x64", None),
    "a reserved rate": (b"\xff\xfb\x9c\x64", None),
    "no sync word": (b"\xff\x1b\x90\x64", None),
    "cut off": (b"\xff\xfb\x90", None),
    "text": (b"Once upon a time", None),
    "UTF-16 text": (b"\xff\xfeO\x00", None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("head", "expected"), HEADS.values(), ids=HEADS.keys())
def test_a_format_is_told_by_its_first_bytes(head: bytes, expected: str | None) -> None:
    assert detect(head) == expected


@given(st.binary(max_size=128), st.sampled_from([b"", b"ID3", b"OggS", b"RIFF", b"\xff", b"\xff\xfb"]))
def test_any_bytes_have_a_known_format_or_none(tail: bytes, beginning: bytes) -> None:
    known = {"aac", "aiff", "amr", "flac", "m4a", "mp3", "ogg", "opus", "wav", "webm", None}
    assert detect(memoryview(beginning + tail)) in known


@pytest.mark.parametrize(
    ("name", "audio_format", "media_type", "seconds"),
    [
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
    facts = facts_of(data[:4096], len(data), None, partial(in_memory, memoryview(data)))
    assert (facts.size, facts.format, facts.media_type) == (len(data), audio_format, media_type)
    assert facts.duration == pytest.approx(seconds, abs=0.1)


def test_a_wav_that_was_written_to_a_pipe_lasts_as_long_as_its_bytes() -> None:
    data = bytearray((FOLDER / "patience-en.wav").read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    facts = facts_of(bytes(data), len(data), None, partial(in_memory, memoryview(data)))
    assert facts.duration == pytest.approx(3.63325, abs=0.1)


def test_a_duration_is_not_measured_unasked() -> None:
    data = (FOLDER / "shells-en.mp3").read_bytes()
    assert facts_of(data, len(data), None, None).duration is None


@pytest.mark.parametrize(
    ("data", "audio_format"),
    [
        (b"OggS\x01" + bytes(23) + b"OpusHead", "opus"),
        (b"RIFF\x24\x00\x00\x00WAVE", "wav"),
        (b"\x1aE\xdf\xa3", "webm"),
    ],
)
def test_headers_that_do_not_tell_the_duration_leave_it_unknown(data: bytes, audio_format: str) -> None:
    facts = facts_of(data, len(data), None, partial(in_memory, memoryview(data)))
    assert (facts.format, facts.duration) == (audio_format, None)


def test_what_is_no_audio_is_not_parsed() -> None:
    def open_it() -> io.BytesIO:
        raise AssertionError("it was opened")

    assert facts_of(b"words", 5, None, open_it) == AudioFacts(5, None, "application/octet-stream")


def test_a_declared_media_type_goes_over_the_wire() -> None:
    assert facts_of(b"words", 5, "audio/x-mine", None).media_type == "audio/x-mine"


def test_the_content_tells_the_format_whatever_is_declared() -> None:
    assert facts_of(MP3_FRAME, 4, "audio/wav", None).format == "mp3"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("audio/pcm", None),
        ("audio/pcm; rate=0", None),
        ("audio/pcm; rate=8000", 4.0),
        ("audio/x-pcm;rate=16000", 2.0),
        ("audio/L16; rate=16000; channels=2", 1.0),
        ("AUDIO/l16; CHANNELS=2; RATE=16000", 1.0),
    ],
)
def test_raw_samples_are_as_declared(content_type: str, expected: float | None) -> None:
    facts = facts_of(MP3_FRAME, 64_000, content_type, None)
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
    facts = facts_of(bytes(data), len(data), None, partial(in_memory, memoryview(data)))
    assert (facts.size, facts.format) == (len(data), detect(bytes(data)))


READ = st.tuples(st.just("read"), st.integers(-1, 50))
SEEK = st.one_of(
    st.tuples(st.just("seek"), st.integers(0, 50), st.just(os.SEEK_SET)),
    st.tuples(st.just("seek"), st.integers(-50, 50), st.sampled_from([os.SEEK_CUR, os.SEEK_END])),
)


@given(st.binary(max_size=40), st.lists(st.one_of(READ, SEEK, st.tuples(st.just("tell"))), max_size=20))
def test_bytes_in_memory_are_read_like_any_file(
    data: bytes, calls: list[tuple[str, *tuple[int, ...]]]
) -> None:
    ours, theirs = in_memory(memoryview(data)), io.BytesIO(data)
    for name, *arguments in calls:
        assert getattr(ours, name)(*arguments) == getattr(theirs, name)(*arguments)
