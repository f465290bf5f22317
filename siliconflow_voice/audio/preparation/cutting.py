"""Chooses what is kept of a recording: all that is spoken, or the best part from pause to pause."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate

from attrs import evolve, frozen

from siliconflow_voice.audio.preparation.activity import HOP, Stretch, level_below, merged

__all__ = ["Cut", "choose"]

# Levels that are kept in front of the first sound and behind the last: soft consonants, and what fades.
_BEFORE, _AFTER = 10, 15
# Pauses, in levels: between sentences, between words.
_PAUSES = (12, 4)
# What a second of silence, an uneven voice, a clipped second and a short pause cost, in dB of distance to
# the noise.
_SILENCE = 20.0
_UNEVEN = 1.0
_CLIPPED = 10.0
_PAUSE = 5.0
_LONG_PAUSE = 30
_MOST_DISTANCE = 40.0
# Of a cut that is to be as long as was asked for, at least this much is spoken.
_SPOKEN = 0.5
# Where there is no pause, a cut is made at the quietest place of each of these.
_DIP = 15
_SHORT = 4.0


@frozen
class Cut:
    """What is kept, in levels."""

    begin: int
    end: int
    at_pauses: bool
    partial: bool
    """Whether speech is left out."""


def choose(
    levels: Sequence[float],
    clipped: Sequence[int],
    speech: Sequence[Stretch],
    *,
    seconds: tuple[float, float],
    whole: float,
) -> Cut:
    """Return what to keep of a recording in which there is *speech*.

    Args:
        levels: Loudness in dBFS, one for every hop.
        clipped: Whether samples of the hop are at full scale, 0 or 1.
        speech: The stretches of speech.
        seconds: The bounds of a cut.
        whole: The seconds up to which all is kept that is spoken.
    """
    everything = _padded(speech, 0, len(speech) - 1, len(levels))
    if everything.end - everything.begin <= whole / HOP:
        return evolve(everything, partial=False)
    least, most = round(seconds[0] / HOP), round(seconds[1] / HOP)
    judge = _Judge(levels, clipped, speech)
    for pause in _PAUSES:
        found = [
            cut
            for cut in _between_pauses(merged(speech, pause), least, most, len(levels))
            if judge.spoken(cut) >= _SPOKEN
        ]
        if found:
            return max(found, key=judge.score)
    dips = list(_between_dips(levels, speech, least, most))
    if dips:
        quiet = _quiet(levels)
        # Every dB counts that it is quieter there.
        return max(dips, key=lambda cut: judge.score(cut) - max(quiet(cut.begin), quiet(cut.end)))
    shorter = list(_between_pauses(merged(speech, _PAUSES[0]), 1, most, len(levels)))
    return max(shorter, key=lambda cut: judge.score(cut) - _SHORT * max(least - len_of(cut), 0) * HOP)


def len_of(cut: Cut) -> int:
    """Return the levels of a cut."""
    return cut.end - cut.begin


def _padded(speech: Sequence[Stretch], first: int, last: int, count: int) -> Cut:
    """Return the cut from the first to the last of these stretches, with a little of the pauses around it."""
    before = speech[first].begin - (speech[first - 1].end if first else 0)
    after = (speech[last + 1].begin if last + 1 < len(speech) else count) - speech[last].end
    begin = speech[first].begin - min(_BEFORE, before // 2 if first else before)
    end = speech[last].end + min(_AFTER, after // 2 if last + 1 < len(speech) else after)
    return Cut(begin, end, at_pauses=True, partial=True)


def _between_pauses(speech: Sequence[Stretch], least: int, most: int, count: int) -> Iterator[Cut]:
    for first in range(len(speech)):
        for last in range(first, len(speech)):
            cut = _padded(speech, first, last, count)
            if len_of(cut) > most:
                break
            if len_of(cut) >= least:
                yield cut


def _between_dips(levels: Sequence[float], speech: Sequence[Stretch], least: int, most: int) -> Iterator[Cut]:
    """Yield cuts within speech that does not pause for as long as a cut may be."""
    for stretch in merged(speech, _PAUSES[0]):
        if len(stretch) < least:
            continue
        places = [
            min(range(start, min(start + _DIP, stretch.end)), key=_quiet(levels))
            for start in range(stretch.begin, stretch.end, _DIP)
        ]
        for index, begin in enumerate(places):
            for end in places[bisect_left(places, begin + least, index) :]:
                if end - begin > most:
                    break
                yield Cut(begin, end, at_pauses=False, partial=True)


def _quiet(levels: Sequence[float]) -> Callable[[int], float]:
    return lambda index: max(levels[max(index - 1, 0) : index + 2])


class _Judge:
    """Scores cuts, by sums that are made once."""

    def __init__(self, levels: Sequence[float], clipped: Sequence[int], speech: Sequence[Stretch]) -> None:
        self._levels = levels
        self._quietest = level_below(levels, 0.05)
        spoken = bytearray(len(levels))
        means = array("f", bytes(4 * len(levels)))
        for stretch in speech:
            spoken[stretch.begin : stretch.end] = b"\1" * len(stretch)
            mean = sum(levels[stretch.begin : stretch.end]) / len(stretch)
            means[stretch.begin : stretch.end] = array("f", [mean]) * len(stretch)
        self._spoken = _sums(spoken)
        self._voice = _sums(means)
        self._squares = _sums(mean * mean for mean in means)
        self._clipped = _sums(clipped)
        self._noise = _sums(
            0.0 if speaking else max(level, self._quietest)
            for speaking, level in zip(spoken, levels, strict=True)
        )

    def spoken(self, cut: Cut) -> float:
        """Return the share of it that is spoken."""
        return _within(self._spoken, cut) / max(len_of(cut), 1)

    def score(self, cut: Cut) -> float:
        """Return how good it is as a reference: clear, even, unclipped, and much of it spoken."""
        spoken = max(_within(self._spoken, cut), 1)
        silent = len_of(cut) - spoken
        voice = _within(self._voice, cut) / spoken
        noise = _within(self._noise, cut) / silent if silent > 0 else self._quietest
        uneven = math.sqrt(max(_within(self._squares, cut) / spoken - voice * voice, 0.0))
        clipped = _within(self._clipped, cut) * HOP
        pauses = min(self._pause(cut.begin), self._pause(cut.end)) / _LONG_PAUSE
        return (
            min(voice - noise, _MOST_DISTANCE)
            - _UNEVEN * uneven
            - _CLIPPED * clipped
            - _SILENCE * (1 - spoken / len_of(cut))
            + _PAUSE * min(pauses, 1.0)
        )

    def _pause(self, place: int) -> int:
        """Return how many levels around a place are not spoken, as far as that counts."""
        first, last = max(place - _LONG_PAUSE, 0), min(place + _LONG_PAUSE, len(self._levels))
        before = place - bisect_left(self._spoken, self._spoken[place], first, place)
        after = bisect_left(self._spoken, self._spoken[place] + 1, place, last) - place
        return before + after


def _sums(values: Iterable[float]) -> array[float]:
    return array("d", accumulate(values, initial=0.0))


def _within(sums: Sequence[float], cut: Cut) -> float:
    return float(sums[cut.end] - sums[cut.begin])
