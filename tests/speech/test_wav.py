from __future__ import annotations

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.made import hum, wav

from siliconflow_voice.speech.wav import repair

SAMPLES = hum(0.5)
LIST = b"LIST" + struct.pack("<I", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf60.16.100\0"
ODD = b"junk" + struct.pack("<I", 3) + b"abc\0"
PLACEHOLDERS = [0xFFFF_FFFF, 0xFFFF_FFDB, 0xFFFF_FF00, 0, 1 << 30]


def repaired(data: bytes) -> bytes:
    file = io.BytesIO(data)
    repair(file)
    return file.getvalue()


def with_sizes(data: bytes, riff: int, size: int) -> bytes:
    at = data.index(b"data")
    head = data[:4] + struct.pack("<I", riff) + data[8 : at + 4]
    return head + struct.pack("<I", size) + data[at + 8 :]


@pytest.mark.parametrize("placeholder", PLACEHOLDERS)
@pytest.mark.parametrize("front", [b"", LIST, ODD + LIST])
def test_placeholders_become_true_sizes(placeholder: int, front: bytes) -> None:
    true = wav(SAMPLES, front=front)
    made = repaired(with_sizes(true, placeholder, placeholder))
    assert made == true
    with wave.open(io.BytesIO(made)) as read:
        assert read.getnframes() == len(SAMPLES) // 2


def test_true_sizes_stay_as_they_are() -> None:
    whole = wav(SAMPLES) + LIST
    whole = whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]
    assert repaired(whole) == whole


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"RIFF",
        b"ID3" + bytes(100),
        b"RIFF\xff\xff\xff\xffAVI " + bytes(100),
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"RIFF\xff\xff\xff\xffWAVE" + LIST,
        b"RIFF\xff\xff\xff\xffWAVE" + (b"junk" + bytes(4)) * 2_000 + b"data\xff\xff\xff\xff",
    ],
    ids=range(7),
)
def test_what_has_no_data_stays_as_it_is(data: bytes) -> None:
    assert repaired(data) == data


@given(st.binary(max_size=400))
def test_anything_is_survived_and_no_length_changes(rest: bytes) -> None:
    data = b"RIFF\xff\xff\xff\xffWAVE" + rest
    assert len(repaired(data)) == len(data)


def test_more_than_four_gigabytes_have_the_largest_size(tmp_path: object) -> None:
    class Huge(io.BytesIO):
        def seek(self, position: int, whence: int = 0) -> int:
            return 5 << 30 if whence == 2 else super().seek(position, whence)

    file = Huge(with_sizes(wav(SAMPLES), 0xFFFF_FFFF, 0))
    repair(file)
    data = file.getvalue()
    assert data[4:8] == data[40:44] == b"\xff\xff\xff\xff"
