from __future__ import annotations

import time

import pytest
from support.made import ape, id3

from siliconflow_voice.audio.tags import skip_tags, strip_tags
from siliconflow_voice.audio.window import Window

SOUND = b"sound" * 100
ID3V1 = b"TAG" + bytes(125)


@pytest.mark.parametrize(
    "tags",
    [b"", id3(0), id3(500), id3(500, footer=True), ape(9), ape(9) + id3(7) + ape(0), bytes(700), ID3V1],
)
def test_tags_in_front_are_skipped(tags: bytes) -> None:
    assert skip_tags(Window(tags + SOUND), 0) == len(tags)


@pytest.mark.parametrize("tags", [bytes(15), b"TAG", b"ID3\3", b"APETAGEX"])
def test_what_only_looks_like_one_is_not_skipped(tags: bytes) -> None:
    assert skip_tags(Window(tags + b"s"), 0) == 0


@pytest.mark.parametrize(
    "tags",
    [
        b"",
        ID3V1,
        ape(9),
        ape(9, header=False),
        ape(9) + ID3V1,
        id3(50, footer=True),
        b"LYRICSBEGIN000011LYRICS200",
    ],
)
def test_tags_behind_are_stripped(tags: bytes) -> None:
    assert strip_tags(Window(SOUND + tags)) == len(SOUND)


@pytest.mark.parametrize("tag", [ape(9)[-32:], id3(50, footer=True)[-10:], b"999999LYRICS200"])
def test_a_tag_that_says_that_it_is_longer_than_all_ends_at_the_beginning(tag: bytes) -> None:
    assert strip_tags(Window(b"s" * 30 + tag)) == 0


def test_zeros_without_end_are_not_skipped_without_end() -> None:
    assert skip_tags(Window(bytes(10**6)), 0) == 1 << 19


@pytest.mark.parametrize("tag", [id3(0), ID3V1, ape(0)[32:], bytes(1 << 17) + b"\1"])
def test_tags_without_end_are_not_skipped_without_end(tag: bytes) -> None:
    window = Window(tag * 20_000 if len(tag) < 1_000 else tag * 40)
    began = time.thread_time()
    positions = skip_tags(window, 0), strip_tags(window)
    assert time.thread_time() - began < 0.05
    assert positions[0] < window.size
