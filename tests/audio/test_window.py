from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.audio.window import Window

DATA = bytes(range(251)) * 800
LOOKS = st.lists(st.tuples(st.integers(0, len(DATA) + 10), st.integers(-1, 100_000)), max_size=8)


@given(LOOKS, st.integers(0, 70_000), st.integers(0, 5))
def test_a_file_is_seen_as_it_is_in_memory(looks: list[tuple[int, int]], head: int, base: int) -> None:
    file = io.BytesIO(bytes(base) + DATA)
    file.seek(base)
    window = Window(DATA[:head], len(DATA), file)
    for position, count in looks:
        assert window.at(position, count) == DATA[position : position + max(count, 0)]


@given(LOOKS)
def test_what_is_held_is_returned_before_more_is_read(looks: list[tuple[int, int]]) -> None:
    window = Window(DATA[:100], len(DATA), io.BytesIO(DATA))
    for position, count in looks:
        seen = bytes(window.some(position, max(count, 1)))
        assert seen == DATA[position : position + len(seen)]
        assert seen or position >= len(DATA)


def test_without_a_file_there_is_what_is_held() -> None:
    window = Window(DATA[:100])
    assert (window.size, window.at(90, 50), window.at(100, 1)) == (100, DATA[90:100], b"")


def test_a_file_that_shrank_ends_where_it_ends() -> None:
    window = Window(b"", 100, io.BytesIO(b"abc"))
    assert window.at(1, 50) == b"bc"
