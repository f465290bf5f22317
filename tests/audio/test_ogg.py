from __future__ import annotations

import pytest
from support.made import opus, page

from siliconflow_voice.audio import ogg
from siliconflow_voice.audio.window import Window

HEADERS = opus(0)
MS_20 = b"\xf8\xff\xfe"


def seconds(data: bytes, start: int = 0) -> float | None:
    length = ogg.measure(Window(data), start)
    return None if length is None else length.seconds


@pytest.mark.parametrize("duration", [1, 2, 10, 60])
@pytest.mark.parametrize("begin", [0, 48_000, 3_600 * 48_000])
def test_it_lasts_as_long_as_its_packets_wherever_the_positions_begin(duration: int, begin: int) -> None:
    # On a single page, what the end is cut by and where it begins can't be told apart.
    assert seconds(opus(duration, begin=begin)) == pytest.approx(
        duration, abs=0.02 if duration == 1 else 1e-9
    )


def test_positions_that_are_not_there_do_not_matter() -> None:
    assert seconds(opus(60, granules=False)) == pytest.approx(60, abs=0.03)


def test_the_links_of_a_chain_are_added_up() -> None:
    assert seconds(opus(10) + opus(5, serial=2, begin=9_000_000) + opus(1, serial=1)) == 16


def test_other_streams_beside_it_are_passed_over() -> None:
    beside = page([b"fishead\0"], 0, serial=9, flags=2)
    data = opus(2)
    first = len(page([b"x" * 19], 0))
    assert seconds(data[:first] + beside + page([bytes(9)], 7, serial=9) + data[first:]) == 2


def test_the_end_is_cut_to_what_was_recorded() -> None:
    assert seconds(HEADERS + page([MS_20] * 50, 48_000 - 700, flags=4)) == pytest.approx(
        (48_000 - 700 - 312) / 48_000
    )


def test_what_is_not_the_end_is_not_cut() -> None:
    cut = HEADERS + page([MS_20] * 50, 48_000) + page([MS_20] * 50, 96_000 - 700)
    assert seconds(cut) == pytest.approx((96_000 - 312) / 48_000)


def test_a_recording_that_is_cut_off_lasts_up_to_its_last_whole_page() -> None:
    assert seconds(opus(10)[:-100]) == pytest.approx(9 - 312 / 48_000)


def test_holes_between_the_packets_leave_it_unknown() -> None:
    assert seconds(HEADERS + page([MS_20] * 50, 48_000) + page([MS_20] * 50, 480_000)) is None


def test_a_packet_that_goes_on_in_the_next_page_is_counted_once() -> None:
    long = b"\xf8" + bytes(509)
    first = bytearray(page([MS_20, long], 960))
    # Its last segment is on the next page.
    first[26] -= 1
    del first[27 + 3]
    assert seconds(HEADERS + bytes(first) + page([b"", MS_20], 2_880, flags=1)) == pytest.approx(
        (2_880 - 312) / 48_000
    )


def test_a_page_on_which_no_packet_ends_has_no_position() -> None:
    first = bytearray(page([b"\xf8" + bytes(254)], -1))
    first[26] -= 1
    del first[28]
    assert seconds(HEADERS + bytes(first) + page([b""], 960, flags=1)) == pytest.approx((960 - 312) / 48_000)


def test_headers_may_take_several_pages() -> None:
    head, tags = HEADERS[:47], bytearray(page([bytes(255)], -1))
    tags[26] -= 1
    del tags[28]
    rest = page([b"rest"], 0, flags=1)
    assert seconds(head + bytes(tags) + rest + page([MS_20] * 50, 48_000)) == pytest.approx(1 - 312 / 48_000)


@pytest.mark.parametrize(
    ("packet", "samples"),
    [
        (b"\x00", 480), (b"\x08", 960), (b"\x10", 1_920), (b"\x18", 2_880), (b"\x60", 480), (b"\x68", 960),
        (b"\x80", 120), (b"\x88", 240), (b"\xf8", 960), (b"\xf9", 1_920), (b"\xfa", 1_920),
        (b"\xfb\x03", 2_880),
        (b"\xfb", 0), (b"", 0),
    ],
)  # fmt: skip
def test_a_packet_says_how_long_it_is(packet: bytes, samples: int) -> None:
    known = seconds(opus(0, skip=0) + page([packet], samples))
    assert known == pytest.approx(samples / 48_000)


def test_headers_alone_last_no_time() -> None:
    assert seconds(HEADERS) == 0


@pytest.mark.parametrize("behind", [b"", bytes(40), b"TAG" + bytes(125), b"OggS\0"])
def test_what_is_behind_it_does_not_matter(behind: bytes) -> None:
    assert seconds(opus(3) + behind) == pytest.approx(3, abs=0.03)


@pytest.mark.parametrize(
    "data",
    [
        b"OggS\x01" + bytes(23) + b"OpusHead",
        page([b"\x01vorbis"], 0, flags=2),
        page([b"OpusHead"], 0, flags=2),
        opus(3) + b"something else",
        HEADERS + page([b""], 0) * 5_000,
        HEADERS + page([b"\xf8"] * 255, 0) * 60,
        b"words",
    ],
)
def test_what_is_not_opus_or_takes_too_long_is_not_measured(data: bytes) -> None:
    assert seconds(data) is None
