"""What is taken for speech, by levels alone."""

from __future__ import annotations

from siliconflow_voice.audio.preparation.activity import HOP, Stretch, find_speech, level_below, merged


def levels(*parts: tuple[float, float]) -> list[float]:
    """Return the levels of parts: seconds, and dBFS."""
    return [level for seconds, level in parts for _ in range(round(seconds / HOP))]


def stretches(*parts: tuple[float, float]) -> list[tuple[float, float]]:
    return [
        (round(stretch.begin * HOP, 2), round(stretch.end * HOP, 2))
        for stretch in find_speech(levels(*parts))
    ]


def test_what_rises_above_the_noise_is_speech() -> None:
    assert stretches((1, -60), (2, -20), (1, -60), (3, -20), (1, -60)) == [(1, 3), (4, 7)]


def test_speech_may_begin_with_the_recording_and_end_with_it() -> None:
    assert stretches((2, -20), (1, -60), (2, -20)) == [(0, 2), (3, 5)]


def test_a_quiet_voice_beside_a_loud_one_is_speech() -> None:
    assert stretches((2, -65), (3, -15), (1, -65), (3, -40), (2, -65)) == [(2, 5), (6, 9)]


def test_the_floor_follows_the_noise() -> None:
    # Outdoors it is as loud as the voice was indoors.
    indoors, outdoors = [(30, -70), (5, -40), (30, -70)], [(30, -40), (5, -20), (30, -40)]
    found = stretches(*indoors, *outdoors)
    assert (30, 35) in found
    assert (95, 100) in found


def test_digital_silence_does_not_pull_the_floor_down() -> None:
    assert stretches((5, -50), (3, -100), (5, -50), (3, -20), (5, -50)) == [(13, 16)]


def test_what_hardly_rises_is_speech_if_it_has_risen_more_once() -> None:
    assert stretches((2, -60), (0.2, -54), (1, -20), (0.2, -54), (2, -60)) == [(2, 3.4)]
    assert stretches((2, -60), (0.2, -54), (2, -60), (1, -20), (2, -60)) == [(4.2, 5.2)]


def test_a_click_is_not_speech() -> None:
    assert stretches((2, -60), (0.04, -10), (2, -60), (3, -20), (2, -60)) == [(4.04, 7.04)]


def test_the_gap_before_a_plosive_belongs_to_the_word() -> None:
    assert stretches((2, -60), (1, -20), (0.1, -60), (1, -20), (2, -60)) == [(2, 4.1)]


def test_silence_and_even_sounds_have_no_speech() -> None:
    assert stretches((20, -100)) == []
    assert stretches((20, -95)) == []
    assert stretches((20, -30)) == []
    assert stretches((10, -32), (10, -30)) == []


def test_stretches_are_joined_across_gaps_that_are_shorter() -> None:
    apart = [Stretch(0, 10), Stretch(14, 20), Stretch(30, 40)]
    assert merged(apart, 5) == [Stretch(0, 20), Stretch(30, 40)]
    assert merged(apart, 4) == apart


def test_a_level_is_found_by_the_share_that_is_below_it() -> None:
    assert level_below([-50.0] * 90 + [-10.0] * 10, 0.5) == -50
    assert level_below([-50.0] * 90 + [-10.0] * 10, 0.95) == -10
    assert level_below([-100.0], 0.5) == -90
