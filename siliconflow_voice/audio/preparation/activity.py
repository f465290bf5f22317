"""Finds speech by how loud a recording is from moment to moment, above a floor that follows its noise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from attrs import frozen

__all__ = ["HOP", "Stretch", "find_speech", "level_below", "merged"]

HOP = 0.02
"""Seconds of a level."""

# Levels are in dBFS. What is below this is silence that was put there by a computer.
_NOTHING = -90
_INAUDIBLE = -80
_BINS = 100
_BLOCK = 50
"""Levels that share a floor: a second."""
_REACH = 15
"""Blocks to either side from which a floor is learned: a talker pauses within half a minute."""
_FLOOR_SHARE = 0.05
# Speech is at most so far below the loudest of the recording …
_RANGE = 45
# … and rises so much above the noise: a third of the way up, within these bounds.
_RISE = 0.35
_LEAST_RISE, _MOST_RISE = 4.0, 9.0
# What rises less than this all in all is an even sound: noise, a tone, hum.
_LEAST_CONTRAST = 6.0
_CLICK = 3
"""Levels of a stretch that is too short to be speech."""
_IN_A_WORD = 6
"""Levels of the gap before a plosive, which belongs to its word."""


@frozen
class Stretch:
    """A part of a recording, in levels from its beginning; *end* is the first behind it."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin


def find_speech(levels: Sequence[float]) -> list[Stretch]:
    """Return the stretches that are louder than the noise around them, in their order.

    Args:
        levels: Loudness in dBFS, one for every :data:`HOP`.
    """
    loud = level_below(levels, 0.95)
    floors = _floors(levels, loud - _RANGE)
    if loud <= _INAUDIBLE or loud - min(floors) < _LEAST_CONTRAST:
        return []
    found = list(_above(levels, floors, loud))
    return [stretch for stretch in merged(found, _IN_A_WORD) if len(stretch) >= _CLICK]


def merged(stretches: Sequence[Stretch], gap: int) -> list[Stretch]:
    """Return the stretches with those joined that have fewer than *gap* levels between them."""
    joined: list[Stretch] = []
    for stretch in stretches:
        if joined and stretch.begin - joined[-1].end < gap:
            joined[-1] = Stretch(joined[-1].begin, stretch.end)
        else:
            joined.append(stretch)
    return joined


def level_below(levels: Sequence[float], share: float) -> float:
    """Return the level that a *share* of the levels is below, of those that are not digital silence."""
    counts = [0] * _BINS
    for level in levels:
        if level > _NOTHING:
            counts[_bin(level)] += 1
    return _percentile(counts, share, _NOTHING)


def _floors(levels: Sequence[float], least: float) -> list[float]:
    """Return the level of the noise around each block, at *least* that."""
    blocks = [levels[start : start + _BLOCK] for start in range(0, len(levels), _BLOCK)]
    histograms: list[list[int]] = []
    for block in blocks:
        counts = [0] * _BINS
        for level in block:
            if level > _NOTHING:
                counts[_bin(level)] += 1
        histograms.append(counts)
    around = [0] * _BINS
    floors: list[float] = []
    for index in range(-_REACH, len(blocks)):
        if index + _REACH < len(blocks):
            around = [a + b for a, b in zip(around, histograms[index + _REACH], strict=True)]
        if index > _REACH:
            around = [a - b for a, b in zip(around, histograms[index - _REACH - 1], strict=True)]
        if index >= 0:
            floors.append(max(_percentile(around, _FLOOR_SHARE, least), least))
    return floors


def _above(levels: Sequence[float], floors: Sequence[float], loud: float) -> Iterator[Stretch]:
    """Yield what rises above the floor, from where it begins to rise to where it has fallen back."""
    begin: int | None = None
    risen = False
    for index, level in enumerate(levels):
        floor = floors[index // _BLOCK]
        rise = min(max((loud - floor) * _RISE, _LEAST_RISE), _MOST_RISE)
        if level > floor + rise / 2:
            begin = index if begin is None else begin
            risen = risen or level > floor + rise
        else:
            if begin is not None and risen:
                yield Stretch(begin, index)
            begin, risen = None, False
    if begin is not None and risen:
        yield Stretch(begin, len(levels))


def _bin(level: float) -> int:
    return min(max(int(level - _NOTHING), 0), _BINS - 1)


def _percentile(counts: Sequence[int], share: float, default: float) -> float:
    wanted, seen = sum(counts) * share, 0
    if not wanted:
        return default
    for index, count in enumerate(counts):
        seen += count
        if seen >= wanted:
            return float(index + _NOTHING)
    return default  # pragma: no cover - the sum of all is more than a share of it
