"""Finds MPEG audio frames, and measures an mp3 by walking all of them, in proportion to what it is.

A frame tells its own length, so that one header can be told from noise by the next ones, which must agree with
it. They are walked by regular expressions, made for each kind of stream: a frame takes 50 ns so, and a third of
what a loop takes.
"""

from __future__ import annotations

import re
import struct
from functools import cache
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
_MOST_PARTS = 1_000
"""Runs of frames, tags and junk: 50 MB are walked in 200 steps, and nothing honest needs many more."""
_LONGEST = 2_881
"""Bytes of the longest frame of layer III or II."""

# What looks like the header of a frame in any layer, with a bit rate that tells its length.
_HEADER = re.compile(rb"\xff[\xe2-\xe7\xf2-\xf7\xfa-\xff][\x10-\xef]", re.DOTALL)

_DECODER_DELAY = 529
_ENCODER_DELAY = 576
"""What LAME and most others put in front of the sound, if they don't tell."""
_INFO = struct.Struct(">4sI")
_ENCODERS = (b"LAME", b"Lavf", b"Lavc")


@frozen
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


@cache
def _walk(kind: FrameKind) -> _Walk:
    second = 0xE0 | kind.version << 3 | kind.layer << 1
    alternatives: list[bytes] = []
    # From the middle, where most recordings are: the first that fits is taken.
    for bitrate, padding in product(sorted(range(1, 15), key=lambda index: abs(index - 8)), (0, 1)):
        third = bitrate << 4 | kind.rate_index << 2 | padding << 1
        rest = kind.length(bitrate, padding) - 3
        alternatives.append(b"[\\x%02x\\x%02x].{%d}" % (third, third | 1, rest))
    frame = b"\\xff[\\x%02x\\x%02x](?:%b)" % (second, second | 1, b"|".join(alternatives))
    return _Walk(tuple((n, re.compile(b"(?:%b){%d}+" % (frame, n), re.DOTALL)) for n in (64, 8, 1)))


def _kind(head: View) -> tuple[FrameKind, int] | None:
    """Return what a frame that begins with *head* is, and its length."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 0 or bitrate in {0, 15} or rate == 3:
        return None
    kind = FrameKind(version, layer, rate)
    return kind, kind.length(bitrate, head[2] >> 1 & 1)


def agreed(window: Window, position: int, end: int) -> FrameKind | None:
    """Return what the frames at *position* are, if three of them agree, or all that there are up to *end*."""
    first = None
    for count in range(3):
        head = window.at(position, 4)
        found = _kind(head)
        if found is None or (first is not None and found[0] != first):
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
        """Return where three frames, of the layer *only*, agree first behind *position*, and what they are."""
        limit = min(self._end - position, self._bytes)
        # With the frames that the last of them is followed by: else a file would be read to and fro.
        view = self._window.at(position, limit + 3 * _LONGEST)
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
    end = strip_tags(window) if stop is None else stop
    search = Search(window, end)
    counts: dict[FrameKind, int] = {}
    kind: FrameKind | None = None
    info: _Info | None = None
    position = start
    for _ in range(_MOST_PARTS):
        if position >= end:
            break
        if kind is not None:
            count, length = _walk(kind).run(window.some(position, _CHUNK)[: end - position])
            counts[kind] += count
            position += length
            if sum(counts.values()) > _MOST_FRAMES:
                return None
            if count:
                continue
        kind = agreed(window, position, end)
        if kind is not None and kind.layer == LAYER_III:
            if not counts:
                info = _info(window, position, kind)
            counts.setdefault(kind, 0)
            continue
        kind = None
        if (behind := skip_tags(window, position)) > position:
            position = behind
        elif (found := search.find(position + 1, only=LAYER_III)) is not None:
            position = found[0]
        elif search.spent:
            return None
        else:
            break  # what is left holds no sound, such as a frame that is cut off
    else:
        return None
    return _sum(counts, info) if counts else None


def _sum(counts: dict[FrameKind, int], info: _Info | None) -> Length:
    first = next(iter(counts))
    added, unsure = 0, _ENCODER_DELAY + _DECODER_DELAY + 2 * first.samples
    if info is not None:
        counts[first] -= 1  # the frame that holds it is not played
        if info.delay is not None:
            # How many there are is another recording's word if it was cut, or others put behind it.
            whole = info.frames == counts[first]
            added = info.delay + (info.padding if whole else _DECODER_DELAY)
            unsure = 0
    samples = {kind: count * kind.samples for kind, count in counts.items()}
    samples[first] = max(samples[first] - added, 0)
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
        if head[at : at + 4] in (b"Xing", b"Info"):
            return _xing(head[at:])
    return _Info(None) if head[36:40] == b"VBRI" else None


def _xing(tag: memoryview) -> _Info:
    if len(tag) < 120 + 24:
        return _Info(None)
    _, flags = _INFO.unpack_from(tag)
    frames = int.from_bytes(tag[8:12], "big") if flags & 1 else None
    at = 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    if bytes(tag[at : at + 4]) not in _ENCODERS:
        return _Info(frames)
    a, b, c = tag[at + 21 : at + 24]
    return _Info(frames, a << 4 | b >> 4, (b & 15) << 8 | c)
