"""What is kept of a recording."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from siliconflow_voice.audio.preparation.activity import HOP, find_speech
from siliconflow_voice.audio.preparation.cutting import Cut, choose


def levels(*parts: tuple[float, float]) -> list[float]:
    return [level for seconds, level in parts for _ in range(round(seconds / HOP))]


def cut(
    found: list[float], *, whole: float = 29.5, seconds: tuple[float, float] = (8, 10), clipped: bytes = b""
) -> Cut:
    speech = find_speech(found)
    return choose(found, clipped or bytes(len(found)), speech, seconds=seconds, whole=whole)


def times(chosen: Cut) -> tuple[float, float]:
    return round(chosen.begin * HOP, 2), round(chosen.end * HOP, 2)


def sentences(*seconds: float, level: float = -20, pause: float = 0.6) -> list[tuple[float, float]]:
    return [part for length in seconds for part in ((length, level), (pause, -60.0))]


def test_what_is_short_enough_is_kept_whole_without_the_silence_at_its_ends() -> None:
    chosen = cut(levels((2, -60), *sentences(5, 5, 5), (2, -60)))
    assert (times(chosen), chosen.at_pauses, chosen.partial) == ((1.8, 18.5), True, False)


def test_what_is_too_long_is_cut_from_pause_to_pause() -> None:
    chosen = cut(levels((2, -60), *sentences(4.2, 4.2, 4.2, 4.2, 4.2, 4.2, 4.2, 4.2), (2, -60)))
    assert (chosen.at_pauses, chosen.partial) == (True, True)
    assert round(chosen.begin * HOP - 1.8, 1) % 4.8 in {0.0, 4.8}
    assert 8 <= (chosen.end - chosen.begin) * HOP <= 10


def test_the_clearest_part_is_taken() -> None:
    quiet, clear = sentences(9, 9, 9, level=-45), sentences(9, level=-15)
    assert times(cut(levels((1, -60), *quiet, *clear, *quiet))) == (29.6, 39.1)


def test_one_voice_is_better_than_two_of_different_loudness() -> None:
    mixed = sentences(4.4, level=-15) + sentences(4.4, level=-35)
    chosen = cut(levels((1, -60), *mixed, *mixed, *sentences(4.4, 4.4, level=-15), *mixed, *mixed))
    assert times(chosen)[0] == 20.8


def test_clipped_speech_is_left_out() -> None:
    found = levels((1, -60), *sentences(9, 9, 9, 9))
    clipped = bytearray(len(found))
    clipped[: round(20 / HOP)] = b"\1" * round(20 / HOP)
    clipped[round(30 / HOP) :] = b"\1" * (len(found) - round(30 / HOP))
    assert times(cut(found, clipped=bytes(clipped))) == (20.0, 29.5)


def test_where_no_pause_is_long_short_ones_are_taken() -> None:
    chosen = cut(levels((1, -60), *sentences(*[3.0] * 15, pause=0.16), (1, -60)))
    assert chosen.at_pauses
    assert 8 <= (chosen.end - chosen.begin) * HOP <= 10


def test_where_there_is_no_pause_the_quietest_places_are_taken() -> None:
    chosen = cut(levels((2, -60), *[(0.94, -20.0), (0.06, -35.0)] * 40, (2, -60)))
    assert not chosen.at_pauses
    assert 8 <= (chosen.end - chosen.begin) * HOP <= 10
    for place in (chosen.begin, chosen.end):
        assert round(place * HOP % 1, 2) >= 0.93


def test_single_words_far_apart_are_cut_shorter() -> None:
    chosen = cut(levels((2, -60), (3, -20), (60, -60), (4, -20), (2, -60)))
    assert (times(chosen), chosen.partial) == ((64.8, 69.3), True)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.3, 9), st.integers(-40, -10), st.floats(0.04, 3)), min_size=4, max_size=40)
)
def test_a_cut_is_never_longer_than_asked_for_and_begins_and_ends_in_the_recording(
    parts: list[tuple[float, int, float]],
) -> None:
    found = levels(
        (1, -60), *[part for length, level, pause in parts for part in ((length, level), (pause, -60))]
    )
    if not find_speech(found):
        return
    chosen = cut(found, whole=12)
    assert 0 <= chosen.begin < chosen.end <= len(found)
    assert (chosen.end - chosen.begin) * HOP <= (10 if chosen.partial else 12) + HOP
    if chosen.partial and chosen.at_pauses:
        # Not within a word: around both ends it is quiet.
        for place in (chosen.begin, chosen.end - 1):
            assert found[place] == -60
