"""Finds the tags in front of and behind a recording: ID3, APE, Lyrics3, and runs of zeros."""

from __future__ import annotations

import re

from siliconflow_voice.audio.window import Window

__all__ = ["skip_tags", "strip_tags"]

_MOST = 64
"""Tags that are skipped one behind the other; nothing honest has as many."""
_MOST_ZEROS = 1 << 19
_FEWEST_ZEROS = 16

_ID3V1 = 128
_ZEROS = re.compile(rb"\0*")


def skip_tags(window: Window, position: int, *, most: int = _MOST) -> int:
    """Return where the tags and zeros that stand at *position* end, which may be behind the last byte."""
    for _ in range(most):
        after = _behind(window, position)
        if after - position == _MOST_ZEROS:
            return after  # and no further: nothing honest begins so
        if after == position:
            break
        position = after
    return position


def strip_tags(window: Window) -> int:
    """Return where the tags at the end begin."""
    end = window.size
    for _ in range(_MOST):
        before = _before(window, end)
        if before == end:
            break
        end = before
    return end


def _behind(window: Window, position: int) -> int:
    head = window.at(position, 32)
    if head[:3] == b"ID3" and len(head) >= 10:
        footer = 10 if head[5] & 0x10 else 0
        return position + 10 + _syncsafe(head[6:10]) + footer
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = _ape(head)
        # The size leaves the header out, which is what stands here unless it is a footer.
        return position + 32 + (size if flags & 1 << 29 else 0)
    if head[:3] == b"TAG" and window.size - position >= _ID3V1:
        return position + _ID3V1
    if not any(head[:_FEWEST_ZEROS]):  # a few begin the box of an mp4 as well
        return _behind_zeros(window, position)
    return position


def _behind_zeros(window: Window, position: int) -> int:
    end = min(position + _MOST_ZEROS, window.size)
    while position < end:
        view = window.view(position, 1 << 16)
        zeros = _ZEROS.match(view)
        count = zeros.end() if zeros else 0
        position += count
        if count < len(view) or not count:
            break
    return position


def _before(window: Window, end: int) -> int:
    if end >= _ID3V1 and window.at(end - _ID3V1, 3) == b"TAG":
        return end - _ID3V1
    foot = window.at(end - 32, 32) if end >= 32 else b""
    if foot[:8] == b"APETAGEX":
        size, flags = _ape(foot)
        return max(end - size - (32 if flags & 1 << 31 else 0), 0)
    if foot[-10:-7] == b"3DI":
        return max(end - 20 - _syncsafe(foot[-4:]), 0)
    if foot[-9:] == b"LYRICS200" and foot[-15:-9].isdigit():
        return max(end - 15 - int(foot[-15:-9]), 0)
    return end


def _syncsafe(field: bytes) -> int:
    a, b, c, d = (byte & 0x7F for byte in field)
    return a << 21 | b << 14 | c << 7 | d


def _ape(tag: bytes) -> tuple[int, int]:
    """Return the size of an APE tag without its header, and its flags."""
    return int.from_bytes(tag[12:16], "little"), int.from_bytes(tag[20:24], "little")
