"""Measures wav and RF64: by the bytes that are really there, whatever the headers say of their number."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from attrs import define

from siliconflow_voice.audio import mpeg
from siliconflow_voice.audio.length import Length
from siliconflow_voice.audio.window import Window

__all__ = ["measure"]

_MOST_CHUNKS = 1_000

_PCM, _MS_ADPCM, _FLOAT, _ALAW, _MULAW, _IMA_ADPCM, _GSM, _MP3 = 1, 2, 3, 6, 7, 0x11, 0x31, 0x55
_EXTENSIBLE = 0xFFFE
# Block formats whose `fmt` says how many samples a block holds.
_BLOCKS = {_MS_ADPCM, _IMA_ADPCM, _GSM}

# Chunks' names are of letters, digits and spaces; a foreign writer's may have other signs.
_NAME = re.compile(rb"[\x20-\x7e]{4}")
# Sizes that were never filled in, since the file went through a pipe.
_STREAMED = 0xFFFF_0000


@define
class _Chunks:
    """What the chunks of a file say that matters here."""

    fmt: bytes = b""
    data: int | None = None
    """Where the samples begin."""
    size: int = 0
    """Bytes of samples, as the file says."""
    size_64: int | None = None
    """The same, as RF64 says it."""


def measure(window: Window, start: int) -> Length | None:
    """Measure the wav that begins at *start*; None where its headers don't tell, or contradict its bytes."""
    big = window.at(start, 4) == b"RIFX"
    order = ">" if big else "<"
    chunks = _Chunks()
    for name, position, size in _walk(window, start + 12, order):
        if name == b"fmt " and not chunks.fmt:
            chunks.fmt = window.at(position, min(size, 40))
        elif name == b"ds64":
            chunks.size_64 = int.from_bytes(window.at(position + 8, 8), "little")
        elif name == b"data":
            chunks.data, chunks.size = position, size
            break
    if chunks.data is None or len(chunks.fmt) < 16:
        return None
    there = _bytes_there(window, chunks, chunks.data, order)
    return None if there is None else _seconds(window, chunks.fmt, chunks.data, there, order)


def _walk(window: Window, position: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks: their names, where they begin behind their headers, and their sizes."""
    header = struct.Struct(order + "4sI")
    for _ in range(_MOST_CHUNKS):
        head = window.at(position, 8)
        if len(head) < 8:
            return
        name, size = header.unpack(head)
        yield name, position + 8, size
        position += 8 + size
        # Chunks are padded to even lengths, but not by all who write them.
        if size % 2 and not _NAME.fullmatch(window.at(position, 4)):
            position += 1


def _bytes_there(window: Window, chunks: _Chunks, data: int, order: str) -> int | None:
    """Return the bytes of samples; None where the file says one number and is of another."""
    remaining = window.size - data
    size = chunks.size
    if size == 0xFFFF_FFFF and chunks.size_64:
        size = chunks.size_64
    if size >= min(remaining, _STREAMED):
        return remaining
    if size == 0:
        return 0 if _ends_in_chunks(window, data, order) else remaining
    behind = window.at(data + size, 9)
    named = _NAME.fullmatch(behind[:4]) or _NAME.fullmatch(behind[1:5])
    known = named or len(behind) < 9 or not any(behind)
    return size if known else None


def _ends_in_chunks(window: Window, position: int, order: str) -> bool:
    """Return whether chunks alone stand there up to the end."""
    end = position
    for name, begin, size in _walk(window, position, order):
        if not _NAME.fullmatch(name):
            return False
        end = begin + size
    return end in {window.size, window.size - 1}


def _seconds(window: Window, fmt: bytes, data: int, there: int, order: str) -> Length | None:
    tag, channels, rate, _, block, bits = struct.unpack_from(order + "HHIIHH", fmt)
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        tag = struct.unpack_from(order + "H", fmt, 24)[0]
    if tag == _MP3:
        return mpeg.measure(window, data, data + there)
    if not there:
        return Length(0.0)
    if tag in {_ALAW, _MULAW}:
        bits = 8
    if tag in {_PCM, _FLOAT, _ALAW, _MULAW}:
        # The block align and the byte rate contradict these in the files of many recorders, and are wrong.
        a_second = channels * -(-bits // 8) * rate
        return Length(there / a_second) if a_second else None
    if tag in _BLOCKS and len(fmt) >= 20 and block and rate:
        samples = struct.unpack_from(order + "H", fmt, 18)[0]
        return Length(there // block * samples / rate) if samples else None
    return None  # of all others, not even ffmpeg's byte rate is always true
