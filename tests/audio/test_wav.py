from __future__ import annotations

import struct

import pytest
from support.made import FRAME, hum, mpeg, wav

from siliconflow_voice.audio import wav as measuring
from siliconflow_voice.audio.window import Window

TEN = hum(10)


def seconds(data: bytes, start: int = 0) -> float | None:
    length = measuring.measure(Window(data), start)
    return None if length is None else length.seconds


def fmt(*fields: int, more: bytes = b"") -> bytes:
    """Make the chunk of: coding, channels, rate, bytes a second, bytes a block, bits a sample."""
    return struct.pack("<HHIIHH", *fields) + more


def extensible(tag: int) -> bytes:
    return fmt(0xFFFE, 1, 16_000, 32_000, 2, 16, more=struct.pack("<HHIH", 22, 16, 4, tag) + bytes(14))


@pytest.mark.parametrize("block", [0, 1, 2, 4])
@pytest.mark.parametrize("byte_rate", [0, 16_000, 32_000, 64_000])
def test_samples_are_counted_by_channels_and_bits(block: int, byte_rate: int) -> None:
    assert seconds(wav(TEN, fmt=fmt(1, 1, 16_000, byte_rate, block, 16))) == 10


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (fmt(1, 2, 16_000, 64_000, 4, 16), 5.0),
        (fmt(1, 1, 16_000, 16_000, 1, 8), 20.0),
        (fmt(1, 1, 16_000, 48_000, 3, 20), 20 / 3),
        (fmt(1, 1, 16_000, 48_000, 3, 24), 20 / 3),
        (fmt(3, 1, 16_000, 64_000, 4, 32), 5.0),
        (fmt(6, 1, 8_000, 8_000, 1, 8, more=b"\0\0"), 40.0),
        (fmt(7, 1, 8_000, 8_000, 1, 0), 40.0),
        (extensible(1), 10.0),
        (extensible(0x92), None),
        (fmt(0x31, 1, 8_000, 1_625, 65, 0, more=struct.pack("<HH", 2, 320)), 320_000 // 65 * 320 / 8_000),
        (fmt(0x11, 1, 8_000, 4_055, 256, 4, more=struct.pack("<HH", 2, 505)), 320_000 // 256 * 505 / 8_000),
        (fmt(0x11, 1, 8_000, 4_055, 256, 4), None),
        (fmt(0x11, 1, 8_000, 4_055, 256, 4, more=struct.pack("<HH", 2, 0)), None),
        (fmt(0x11, 1, 8_000, 4_055, 0, 4, more=struct.pack("<HH", 2, 505)), None),
        (fmt(0x20, 1, 8_000, 4_000, 1, 4), None),
        (fmt(1, 0, 16_000, 32_000, 2, 16), None),
        (fmt(1, 1, 0, 32_000, 2, 16), None),
        (fmt(1, 1, 16_000, 32_000, 2, 0), None),
        (fmt(1, 1, 16_000, 32_000, 2, 16)[:14], None),
    ],
)
def test_each_coding_is_counted_by_what_is_known_of_it(form: bytes, expected: float | None) -> None:
    assert seconds(wav(TEN, fmt=form)) == (expected and pytest.approx(expected))


def test_an_mp3_in_a_wav_is_walked() -> None:
    made = wav(mpeg() * 100, fmt=fmt(0x55, 1, 44_100, 16_000, 1, 0)) + b"LIST\x04\0\0\0INFO"
    assert seconds(made) == pytest.approx(100 * FRAME)


@pytest.mark.parametrize("size", [0, 320_000, 320_001, 10**6, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFF00])
def test_a_size_that_was_never_filled_in_does_not_matter(size: int) -> None:
    assert seconds(wav(TEN, size=size)) == 10


@pytest.mark.parametrize(
    "behind", [b"", b"\0", b"LIST\x04\0\0\0INFO", b"\0LIST\x04\0\0\0INFO", b"\1\2\3", bytes(500), b"RIFF" * 9]
)
def test_what_is_behind_the_samples_is_not_counted(behind: bytes) -> None:
    assert seconds(wav(TEN) + behind) == 10


def test_a_size_that_is_of_another_recording_is_not_believed() -> None:
    assert seconds(wav(TEN, size=1_000)) is None


@pytest.mark.parametrize(
    "behind", [b"", b"LIST\x04\0\0\0INFO", b"LIST\x05\0\0\0INFOx", b"LIST\x05\0\0\0INFOx\0"]
)
def test_headers_without_samples_last_no_time(behind: bytes) -> None:
    assert seconds(wav(b"") + behind) == 0


@pytest.mark.parametrize("behind", [b"LIST\x04\0\0\0INFO123456789", b"\1\2\3\4" * 8])
def test_what_looks_like_chunks_and_is_not_is_sound(behind: bytes) -> None:
    assert seconds(wav(b"", size=0) + behind) == pytest.approx(len(behind) / 32_000)


@pytest.mark.parametrize(
    "front",
    [
        b"JUNK\x1c\0\0\0" + bytes(28),
        b"bext\x03\0\0\0abc\0",
        b"bext\x03\0\0\0abc",
        b"fact\x04\0\0\0\x99\0\0\0" * 5,
    ],
)
def test_chunks_in_front_are_passed_over(front: bytes) -> None:
    assert seconds(wav(TEN, front=front)) == 10


def test_the_first_form_counts() -> None:
    second = b"fmt \x10\0\0\0" + fmt(1, 2, 48_000, 192_000, 4, 16)
    assert seconds(wav(TEN).replace(b"data", second + b"data")) == 10


def test_a_big_endian_wav_is_measured() -> None:
    assert seconds(wav(TEN, magic=b"RIFX")) == 10


@pytest.mark.parametrize(("there", "expected"), [(160_000, 5.0), (0, 10.0), (10**12, 10.0)])
def test_rf64_has_its_size_in_a_chunk_of_its_own(there: int, expected: float) -> None:
    front = b"ds64\x1c\0\0\0" + struct.pack("<QQQI", 0, there, 0, 0)
    made = wav(TEN, front=front, size=0xFFFFFFFF, magic=b"RF64")
    known = seconds(made[: len(made) - 160_000] + b"LIST\x04\0\0\0INFO" if there == 160_000 else made)
    assert known == expected


def test_it_begins_where_it_is_told() -> None:
    assert seconds(bytes(50) + wav(TEN), 50) == 10


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\0\0\0\0WAVE",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF\0\0\0\0WAVEdata\x04\0\0\0abcd",
        b"RIFF\0\0\0\0WAVE" + b"JUNK\0\0\0\0" * 2_000 + wav(TEN)[12:],
    ],
)
def test_headers_that_do_not_tell_leave_it_unknown(data: bytes) -> None:
    assert seconds(data) is None
