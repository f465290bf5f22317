from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.audio.wording import not_a_path, one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("narrator.mp3", "narrator.mp3"),
        ("旁白 one.mp3", "旁白 one.mp3"),
        ("a\r\nb\x1b[31m\u202e.mp3", r"a\r\nb\x1b[31m\u202e.mp3"),
        ("a\udcff", r"a\udcff"),
        ("x" * 200, "x" * 200),
        ("x" * 100 + "?" + "y" * 100, "x" * 100 + "…" + "y" * 99),
    ],
)
def test_what_was_passed_is_shown_on_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@given(st.text(max_size=500), st.integers(20, 100))
def test_whatever_it_is_it_can_be_printed(text: str, most: int) -> None:
    shown = one_line(text, most)
    assert shown.isprintable()
    assert len(shown) <= most * 10


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("data:audio/mpeg;base64," + "A" * 10**6, "a data URI of 1,000,023 characters, not a path: decode"),
        ("DATA:,x", "a data URI of 7 characters, not a path: decode the base64"),
        (
            "https://example.com/a.mp3?token=secret",
            "the address https://example.com/a.mp3, not a path: pass AudioSource.url(…)",
        ),
        (
            "https://me:secret@example.com/a.mp3",
            "the address https://example.com/a.mp3, not a path: pass AudioSource.url(…)",
        ),
        (
            "https:/example.com/a.mp3",
            "the address https:/example.com/a.mp3, not a path: pass AudioSource.url(…)",
        ),
        ("s3://bucket/a.mp3", "the address s3://bucket/a.mp3, not a path: pass AudioSource.url(…)"),
        ("file:///tmp/a.mp3", "the address file:///tmp/a.mp3, not a path: pass the path in it"),
        ("A" * 5_000, "a text of 5,000 characters, not a path: "),
    ],
)
def test_what_stands_where_a_path_should_is_named(text: str, beginning: str) -> None:
    named = not_a_path(text)
    assert named is not None
    assert named.startswith(beginning)
    assert named.isprintable()
    assert (len(named) < 300, "secret" in named) == (True, False)


@pytest.mark.parametrize(
    "path", ["a.mp3", "C:/a.mp3", "C:\\a.mp3", "data/a.mp3", "data:1", "{id}.mp3", "a:/b", "~"]
)
def test_what_may_be_a_path_is_not_refused(path: str) -> None:
    assert not_a_path(path) is None
