"""Tells Opus from all else that comes in Ogg, and measures it by its packets."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import NamedTuple

from attrs import define

from siliconflow_voice.audio.length import Length
from siliconflow_voice.audio.tags import skip_tags
from siliconflow_voice.audio.window import Window

__all__ = ["holds_opus", "measure"]

_PAGE = struct.Struct("<4sBBqIIIB")
_HEAD = _PAGE.size
_MOST_PAGES = 2_000
"""Half an hour of one page a second, which is how encoders write it, or 40 s of a page for each packet of
20 ms, as recorders of WebRTC do, in 3 ms. What has more is not measured."""
_MOST_PACKETS = 8_000
"""Packets that are looked at one by one: those of pages that don't say how many samples are on them."""
_MOST_EMPTY = 200
"""Pages on which no packet ends: a picture of 10 MB in the tags takes as many."""
_MOST_LINKS = 64
_CONTINUED, _BEGINS, _ENDS = 1, 2, 4
_RATE = 48_000
_MOST_GAP = _RATE // 10
"""Samples that may be missing between the packets of a whole recording, by rounding or a lost packet."""

# Samples of a frame at 48 kHz, by the configurations of RFC 6716, section 3.1.
_SILK = (480, 960, 1920, 2880)
_CELT = (120, 240, 480, 960)
_FRAME = [*_SILK * 3, 480, 960, 480, 960, *_CELT * 4]


class _Page(NamedTuple):
    flags: int
    granule: int
    """Of the last packet that ends on it, the samples up to its end; or -1."""
    serial: int
    lacing: bytes
    body: int
    """Where its packets begin."""
    end: int


def _page(window: Window, position: int) -> _Page | None:
    """Return the page at *position*, if it is there whole."""
    head = window.view(position, _HEAD + 255)
    if len(head) < _HEAD:
        return None
    capture, _, flags, granule, serial, _, _, segments = _PAGE.unpack_from(head)
    lacing = bytes(head[_HEAD : _HEAD + segments])
    body = position + _HEAD + segments
    end = body + sum(lacing)
    if capture != b"OggS" or end > window.size:
        return None
    return _Page(flags, granule, serial, lacing, body, end)


def holds_opus(window: Window, position: int) -> bool:
    """Return whether one of the streams that begin at *position* is Opus."""
    for _ in range(8):
        page = _page(window, position)
        if page is None or not page.flags & _BEGINS:
            return False
        if window.at(page.body, 8) == b"OpusHead":
            return True
        position = page.end
    return False


@lru_cache(maxsize=1024)
def _packet(head: bytes) -> int:
    """Return the samples of a packet that begins with *head*."""
    if not head:
        return 0
    frame = _FRAME[head[0] >> 3]
    match head[0] & 3:
        case 0:
            return frame
        case 3:
            return frame * (head[1] & 63) if len(head) > 1 else 0
        case _:
            return frame * 2


@define
class _Link:
    """One stream of a chain, from its first page to its last."""

    serial: int
    skip: int
    """Samples at its beginning that are not played."""
    headers: int = 1
    """Packets before the sound."""
    usual: int = 0
    """Samples of a packet like the last that was looked at."""
    samples: int = 0
    """Of all packets so far."""
    open: int = 0
    """Those of a packet that goes on in the next page."""
    first: int | None = None
    """The granule position at which it begins."""
    last: int = 0
    """The last granule position."""
    on_last_page: int = 0
    ended: bool = False

    def add(self, window: Window, page: _Page) -> int:
        """Count the packets that end on a page; return how many were looked at one by one."""
        ending = len(page.lacing) - page.lacing.count(255)
        if self.headers:
            # The second header may take many pages, and always ends one (RFC 7845, section 3).
            self.headers -= min(ending, 1)
            return 0
        count, looked_at = ending * self.usual, 0
        if self.first is None or page.granule - self.last != count or page.flags & _ENDS:
            count, looked_at = self._look(window, page), len(page.lacing)
        self.samples += count
        if page.granule >= 0 and ending:
            if self.first is None:
                self.first = max(page.granule - self.samples, 0)
            self.last, self.on_last_page = page.granule, count
        self.ended = bool(page.flags & _ENDS)
        return looked_at

    def _look(self, window: Window, page: _Page) -> int:
        """Count them one by one."""
        position, begins, count = 0, not page.flags & _CONTINUED, 0
        body = window.at(page.body, page.end - page.body)
        for size in page.lacing:
            if begins:
                self.open = self.usual = _packet(body[position : position + min(size, 2)])
            position += size
            begins = size < 255
            if begins:
                count += self.open
                self.open = 0
        return count

    def played(self) -> int | None:
        """Return the samples that a player puts out; None where there are holes between its packets."""
        samples = self.samples
        if self.first is not None:
            beyond = samples - (self.last - self.first)
            if beyond < -_MOST_GAP:
                return None
            if self.ended and 0 < beyond < self.on_last_page:
                samples -= beyond  # the last packet is cut to what was recorded
        return max(samples - self.skip, 0)


def measure(window: Window, position: int) -> Length | None:
    """Measure the Opus that begins at *position*; None where it has holes, or isn't Ogg up to its end."""
    links: list[_Link] = []
    packets = empty = 0
    for _ in range(_MOST_PAGES):
        page = _page(window, position)
        if page is None:
            break
        if page.flags & _BEGINS:
            head = window.at(page.body, 12)
            if head[:8] == b"OpusHead" and len(head) == 12:
                links.append(_Link(page.serial, int.from_bytes(head[10:12], "little")))
        elif links and links[-1].serial == page.serial:
            packets += links[-1].add(window, page)
        empty += page.lacing.count(255) == len(page.lacing)
        if packets > _MOST_PACKETS or empty > _MOST_EMPTY or len(links) > _MOST_LINKS:
            return None
        position = page.end
    else:
        return None
    rest = window.at(skip_tags(window, position), 4)
    if not links or not b"OggS".startswith(rest):
        return None  # something else is behind it, and not just a page that was cut off
    played = [link.played() for link in links]
    return None if None in played else Length(sum(filter(None, played)) / _RATE)
