"""Finds MPEG audio frames, and measures an mp3 by walking all of them.

A frame tells its own length, so that a header can be told from noise by the next ones, which must agree.
They are walked by regular expressions, one made for each kind of stream: a frame takes 50 ns so, which is a
third of what a loop takes.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from itertools import product

from attrs import frozen

from siliconflow_voice.audio.length import Length
from siliconflow_voice.audio.tags import skip_tags, strip_tags
from siliconflow_voice.audio.window import View, Window

__all__ = ["LAYER_III", "FrameKind", "Search", "agreed", "measure"]

LAYER_III = 1
_MPEG_1 = 3

_KBPS = {
    # By (MPEG 1 or not, layer as the header has it).
    (True, 3): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 1): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 3): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 1): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)

_CHUNK = 1 << 18
_MOST_FRAMES = 140_000
"""Frames that are walked: an hour at 44.1 kHz, in 6 ms. What has more is not measured."""
_MOST_JUNK = 1 << 16
"""Bytes that are searched for frames, all in all, in half a millisecond."""
_MOST_CANDIDATES = 200
"""What looks like a header in junk, and is tried."""
_MOST_BREAKS = 100
"""Places where frames are followed by tags, junk, or frames of another kind; more are not measured."""
_LONGEST = 2_881
"""Bytes of the longest frame of layer III or II."""

# What looks like the header of a frame in any layer, with a bit rate that tells its length.
_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]", re.DOTALL)

_DECODER_DELAY = 529
_ENCODER_DELAY = 576
"""What LAME and most others put in front of the sound, if they don't tell."""
_ENCODERS = (b"LAME", b"Lavf", b"Lavc")


@frozen(eq=False)
class FrameKind:
    """What all frames of one stream have in common."""

    version: int
    """As the header has it: 3 for MPEG 1, 2 for MPEG 2, 0 for MPEG 2.5."""
    layer: int
    """As the header has it: 1 for layer III."""
    rate_index: int

    @property
    def rate(self) -> int:
        """Samples a second."""
        return _RATES[self.rate_index] >> (0 if self.version == _MPEG_1 else 1 if self.version else 2)

    @property
    def samples(self) -> int:
        """Samples a frame."""
        if self.layer == LAYER_III:
            return 1152 if self.version == _MPEG_1 else 576
        return 384 if self.layer == 3 else 1152

    def length(self, bitrate_index: int, padding: int) -> int:
        """Return the bytes of a frame, its header included."""
        bits = _KBPS[self.version == _MPEG_1, self.layer][bitrate_index - 1] * 1000
        if self.layer == 3:
            return (12 * bits // self.rate + padding) * 4
        return self.samples // 8 * bits // self.rate + padding


@frozen
class _Walk:
    """Patterns that match so many frames of one kind, whatever their bit rates."""

    steps: tuple[tuple[int, re.Pattern[bytes]], ...]

    def run(self, view: View) -> tuple[int, int]:
        """Return how many whole frames stand at the beginning, and where they end."""
        count = position = 0
        for frames, pattern in self.steps:
            while found := pattern.match(view, position):
                count += frames
                position = found.end()
        return count, position


@lru_cache(maxsize=64)
def _walk(kind: FrameKind, usual: int) -> _Walk:
    """Make the patterns of a kind whose frames mostly have the *usual* bit rate (its index), or one near."""
    second = 0xE0 | kind.version << 3 | kind.layer << 1
    alternatives: list[bytes] = []
    # The first that fits is taken.
    for bitrate, padding in product(sorted(range(1, 15), key=lambda index: abs(index - usual)), (0, 1)):
        third = bitrate << 4 | kind.rate_index << 2 | padding << 1
        rest = kind.length(bitrate, padding) - 3
        alternatives.append(b"[\\x%02x\\x%02x].{%d}" % (third, third | 1, rest))
    frame = b"\\xff[\\x%02x\\x%02x](?:%b)" % (second, second | 1, b"|".join(alternatives))
    return _Walk(tuple((n, re.compile(b"(?:%b){%d}+" % (frame, n), re.DOTALL)) for n in (64, 8, 1)))


def _kind(head: bytes) -> tuple[FrameKind, int] | None:
    """Return what a frame that begins with *head* is, and its length."""
    return _told(head[1], head[2]) if len(head) > 3 and head[0] == 0xFF else None


@cache
def _told(second: int, third: int) -> tuple[FrameKind, int] | None:
    version, layer = second >> 3 & 3, second >> 1 & 3
    bitrate, rate = third >> 4, third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == 1 or layer == 0 or bitrate in {0, 15} or rate == 3:
        return None
    kind = _same(version, layer, rate)
    return kind, kind.length(bitrate, third >> 1 & 1)


_same = cache(FrameKind)
"""There is but one of each kind, so that they are compared and looked up by what they are."""


def agreed(window: Window, position: int, end: int) -> FrameKind | None:
    """Return what the frames at *position* are, if three of them agree, or all that there are up to *end*."""
    first = None
    for count in range(3):
        head = window.at(position, 4)
        found = _kind(head)
        if found is None or (first is not None and found[0] is not first):
            # What is cut off, or zeros behind the last of two, are not a contradiction.
            near = (count and end - position < 4) or (count > 1 and not any(head))
            return first if near else None
        first, length = found
        position += length
        if position >= end:
            # The only frame may be cut off only where the recording goes on.
            return first if count or position == end or not window.whole else None
    return first


class Search:
    """Looks for frames in junk, no further and no more often than it may."""

    def __init__(self, window: Window, end: int) -> None:
        self._window = window
        self._end = end
        self._bytes = _MOST_JUNK
        self._tries = _MOST_CANDIDATES

    def find(self, position: int, *, only: int | None = None) -> tuple[int, FrameKind] | None:
        """Return where three frames, of the layer *only*, first agree behind *position*, and their kind."""
        limit = min(self._end - position, self._bytes)
        # With the frames that the last of them is followed by: else a file would be read to and fro.
        view = self._window.view(position, limit + 3 * _LONGEST)
        for found in _HEADER.finditer(view, 0, limit):
            if not self._tries:
                break
            self._tries -= 1
            start = position + found.start()
            kind = agreed(self._window, start, self._end)
            if kind is not None and only in {None, kind.layer} and self._followed(start):
                self._bytes -= start - position
                return start, kind
        self._bytes -= max(limit, 0)
        return None

    @property
    def spent(self) -> bool:
        """Whether it stopped before the end."""
        return not (self._bytes and self._tries)

    def _followed(self, position: int) -> bool:
        # One or two at the very end are more likely chance.
        found = _kind(self._window.at(position, 4))
        return found is not None and position + 2 * found[1] < self._end


def measure(window: Window, start: int, stop: int | None = None) -> Length | None:
    """Walk the frames of an mp3 from *start* on; None where it takes too long, or too much else is in it."""
    tally = _Tally(window, strip_tags(window) if stop is None else stop)
    position = start
    for _ in range(_MOST_BREAKS):
        if (following := tally.walk(position)) is None:
            return None
        if following >= tally.end:
            return tally.length()
        # Between two recordings, or in a damaged one.
        position = skip_tags(window, following, most=8)
        if position == following and not tally.begins(position):
            if (found := tally.search.find(position + 1, only=LAYER_III)) is not None:
                position = found[0]
            elif tally.search.spent:
                return None
            else:
                return tally.length()  # what is left holds no sound, such as a frame that is cut off
    return None


class _Tally:
    """The frames of an mp3, walked and counted."""

    def __init__(self, window: Window, end: int) -> None:
        self._window = window
        self.end = end
        self.search = Search(window, end)
        self._counts: dict[FrameKind, int] = {}
        self._info: _Info | None = None

    def begins(self, position: int) -> FrameKind | None:
        """Return what the frames of layer III at *position* are."""
        kind = agreed(self._window, position, self.end)
        return kind if kind is not None and kind.layer == LAYER_III else None

    def walk(self, position: int) -> int | None:
        """Count the frames of one kind at *position*; return where they end, or None if they are too many."""
        kind = self.begins(position)
        if kind is None:
            return position
        if not self._counts:
            self._info = _info(self._window, position, kind)
        walk = _walk(kind, self._window.at(position + 2, 1)[0] >> 4)
        count = 1
        while count and position < self.end:
            count, length = walk.run(self._window.some(position, _CHUNK)[: self.end - position])
            self._counts[kind] = self._counts.get(kind, 0) + count
            position += length
            if sum(self._counts.values()) > _MOST_FRAMES:
                return None
        return position

    def length(self) -> Length | None:
        """Return how long all of them last; None if there are none."""
        if not self._counts:
            return None
        first = next(iter(self._counts))
        samples = {kind: count * kind.samples for kind, count in self._counts.items()}
        unsure = _ENCODER_DELAY + _DECODER_DELAY + 2 * first.samples
        if self._info is not None:
            samples[first] -= first.samples  # the frame that holds it is not played
            if self._info.delay is not None:
                # How many there are is another recording's word if it was cut, or others put behind it.
                whole = self._info.frames == self._counts[first] - 1
                added = self._info.delay + (self._info.padding if whole else _DECODER_DELAY)
                samples[first] = max(samples[first] - added, 0)
                unsure = 0
        return Length(sum(count / kind.rate for kind, count in samples.items()), unsure / first.rate)


@frozen
class _Info:
    """What LAME, ffmpeg and others write into a frame of silence in front."""

    frames: int | None
    delay: int | None = None
    padding: int = 0


def _info(window: Window, position: int, kind: FrameKind) -> _Info | None:
    head = window.at(position, 4 + 2 + 32 + 160)
    mono = head[3] >> 6 == 3
    side = (17 if mono else 32) if kind.version == _MPEG_1 else (9 if mono else 17)
    for at in (4 + side, 4 + side + 2):
        if head[at : at + 4] in {b"Xing", b"Info"}:
            return _xing(head[at:])
    return _Info(None) if head[36:40] == b"VBRI" else None


def _xing(tag: bytes) -> _Info:
    flags = int.from_bytes(tag[4:8], "big")
    frames = int.from_bytes(tag[8:12], "big") if flags & 1 else None
    at = 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if tag[at : at + 4] not in _ENCODERS or len(tag) < at + 24:
        return _Info(frames)
    a, b, c = tag[at + 21 : at + 24]
    return _Info(frames, a << 4 | b >> 4, (b & 15) << 8 | c)
