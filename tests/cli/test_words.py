from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.cli.words import UNSHOWABLE, amount, brief, clock, harmless


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (5_000_000, "5.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (1_234_500_000_000, "1,234.5 GB"),
    ],
)
def test_amounts_have_the_unit_that_suits_them(count: float, text: str) -> None:
    assert amount(count) == text


@given(st.floats(0, 1e15))
def test_no_amount_has_four_digits_of_a_smaller_unit(count: float) -> None:
    number, unit = amount(count).split(" ")
    assert unit == "GB" or float(number) < 1000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0:00:00"), (0.6, "0:00:01"), (59.6, "0:01:00"), (3599, "0:59:59"), (100_000, "27:46:40")],
)
def test_durations_are_rounded_to_seconds(seconds: float, text: str) -> None:
    assert clock(seconds) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain 慢工 [red]", "plain 慢工 [red]"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("two\nlines\r\t", r"two\nlines\r\t"),
        ("\x07\x7f\x9b31m", r"\x07\x7f\x9b31m"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\udcff", r"\udcff"),
        (r"C:\new", r"C:\new"),
    ],
)
def test_control_characters_are_shown_and_not_obeyed(text: str, shown: str) -> None:
    assert harmless(text) == shown


@given(st.text())
def test_whatever_a_text_has_nothing_to_obey_is_left_of_it(text: str) -> None:
    assert UNSHOWABLE.search(harmless(text)) is None


@given(st.text(st.characters(categories=["L", "N", "P", "Zs"])))
def test_words_stay_as_they_are(text: str) -> None:
    assert harmless(text) == text


def test_a_long_text_is_cut() -> None:
    assert brief("word " * 100, 12) == "word word w…"


def test_a_text_that_just_fits_is_whole() -> None:
    assert brief("a" * 400) == "a" * 400
