from __future__ import annotations

from typing import Any

import pytest
from support.made import FRAME, ape, frames, id3, info, mpeg

from siliconflow_voice.audio import mpeg as measuring
from siliconflow_voice.audio.length import Length
from siliconflow_voice.audio.window import Window

MPEG_2 = b"\xff\xf3\x80\xc4" + bytes(204)
MPEG_2_5 = b"\xff\xe3\x18\xc4" + bytes(68)
UNSURE = (576 + 529 + 2 * 1152) / 44_100
JUNK = b"\xff\xfe junk " * 40


def measure(data: bytes, start: int = 0) -> Length | None:
    return measuring.measure(Window(data), start)


def about(seconds: float, unsure: float = 0.0) -> tuple[Any, Any]:
    return pytest.approx(seconds), pytest.approx(unsure)


def both(data: bytes) -> tuple[float, float]:
    length = measure(data)
    assert length is not None
    return length.seconds, length.unsure


def seconds(data: bytes) -> float | None:
    length = measure(data)
    return None if length is None else length.seconds


@pytest.mark.parametrize(
    ("frame", "expected"), [(mpeg(128), 1152 / 44_100), (MPEG_2, 576 / 22_050), (MPEG_2_5, 576 / 8_000)]
)
@pytest.mark.parametrize("count", [3, 8, 63, 64, 65, 700])
def test_frames_are_counted(frame: bytes, expected: float, count: int) -> None:
    assert seconds(frame * count) == pytest.approx(count * expected)


@pytest.mark.parametrize("rate_index", range(3))
@pytest.mark.parametrize("second", [0xFB, 0xFA, 0xF3, 0xE3])
def test_frames_of_all_bit_rates_are_counted_wherever_they_stand(second: int, rate_index: int) -> None:
    made = b""
    for bitrate in range(1, 15):
        for padding in (0, 1):
            header = bytes([0xFF, second, bitrate << 4 | rate_index << 2 | padding << 1, 0xC4])
            kind = measuring.agreed(Window(header, whole=False), 0, 4)
            assert kind is not None
            made += (header + bytes(kind.length(bitrate, padding) - 4)) * 2
    kind = measuring.agreed(Window(made), 0, len(made))
    assert kind is not None
    assert seconds(made) == pytest.approx(56 * kind.samples / kind.rate)


def test_the_rates_are_those_of_the_standard() -> None:
    rates = [measuring.FrameKind(version, 1, index).rate for version in (3, 2, 0) for index in range(3)]
    assert rates == [44_100, 48_000, 32_000, 22_050, 24_000, 16_000, 11_025, 12_000, 8_000]


def test_the_frame_in_front_that_tells_of_the_others_is_not_played() -> None:
    tag = info(100, delay=576, padding=1_000)
    assert both(tag + mpeg() * 100) == about((100 * 1152 - 1_576) / 44_100)


def test_what_it_says_of_another_recording_is_not_believed() -> None:
    tag = info(2_297, delay=576, padding=1_000)
    assert both(tag + mpeg() * 100) == about((100 * 1152 - 576 - 529) / 44_100)


@pytest.mark.parametrize(
    "tag",
    [info(100, encoder=b"Gogo"), info(100)[:40] + bytes(377), info(100).replace(b"Info", b"Xing", 1)[:140]],
)
def test_without_an_encoders_word_delay_and_padding_are_unsure(tag: bytes) -> None:
    tag = tag.ljust(417, b"\0")
    assert both(tag + mpeg() * 100) == about(100 * FRAME, UNSURE)


def test_it_is_found_behind_a_checksum() -> None:
    tag = info(100, at=23)
    assert both(tag + mpeg() * 100) == about((100 * 1152 - 576) / 44_100)


def test_the_frame_of_fraunhofer_is_not_played() -> None:
    tag = mpeg()[:36] + b"VBRI" + bytes(377)
    assert seconds(tag + mpeg() * 100) == pytest.approx(100 * FRAME)


def test_a_frame_that_tells_of_others_that_are_not_there_is_empty() -> None:
    assert seconds(info(100)) == 0


def test_without_such_a_frame_delay_and_padding_are_unsure() -> None:
    assert both(mpeg() * 100) == about(100 * FRAME, UNSURE)


@pytest.mark.parametrize(
    "behind",
    [
        b"TAG" + bytes(125),
        ape(500_000),
        ape(9_000, header=False),
        ape(70) + b"TAG" + bytes(125),
        id3(500, footer=True),
        b"LYRICSBEGINwords" + b"000016LYRICS200" + b"TAG" + bytes(125),
        bytes(5_000),
        mpeg()[:300],
        mpeg()[:3],
        JUNK,
    ],
)
def test_what_is_behind_the_frames_is_not_counted(behind: bytes) -> None:
    assert seconds(mpeg() * 100 + behind) == pytest.approx(100 * FRAME)


@pytest.mark.parametrize(
    "between", [id3(500), b"TAG" + bytes(125), ape(7_000), bytes(100), JUNK, mpeg()[:300]]
)
def test_what_is_between_two_recordings_is_not_counted(between: bytes) -> None:
    assert seconds(mpeg() * 100 + between + mpeg() * 50) == pytest.approx(150 * FRAME)


def test_recordings_of_two_kinds_are_added_up() -> None:
    made = mpeg() * 100 + MPEG_2 * 50 + mpeg() * 10
    assert seconds(made) == pytest.approx(110 * FRAME + 50 * 576 / 22_050)


def test_frames_of_another_layer_are_not_counted() -> None:
    layer_2 = (b"\xff\xfd\x80\xc4" + bytes(413)) * 3
    assert seconds(mpeg() * 100 + layer_2 + mpeg() * 10) == pytest.approx(110 * FRAME)


def test_it_begins_where_it_is_told() -> None:
    assert measure(b"\1" * 50 + mpeg() * 100, 50) == measure(mpeg() * 100)


@pytest.mark.parametrize(
    "data",
    [
        mpeg() * 3 + b"\xff" * 100_000,
        mpeg() * 3 + mpeg()[:4] * 30_000,
        (mpeg(32) * 3 + b"\1") * 300,
        (mpeg(32) * 3 + id3(0)) * 300,
        (mpeg(32) * 3 + MPEG_2_5 * 3) * 300,
        MPEG_2_5 * 140_001,
        b"words",
        b"",
    ],
)
def test_what_takes_too_long_or_is_no_mp3_is_not_measured(data: bytes) -> None:
    assert measure(data) is None


def test_an_hour_is_measured() -> None:
    assert seconds(frames(3_600, 32)) == pytest.approx(3_600, abs=0.02)
