"""Tells audio formats by their first bytes, and durations by their headers."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import BinaryIO, TypeAlias, cast

from attrs import frozen
from tinytag import TinyTag, TinyTagException

__all__ = ["AudioFacts", "Opener", "detect", "facts_of", "in_memory"]

Opener: TypeAlias = Callable[[], BinaryIO]

# RFC 7845 names audio/ogg for Opus in Ogg; `audio/opus` is for RTP.
_MEDIA_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav", "opus": "audio/ogg", "pcm": "audio/pcm"}

_PCM = re.compile(r"audio/(?:x-)?(?:pcm|l16)\b", re.IGNORECASE)
_PCM_PARAMETER = re.compile(r";\s*(rate|channels)=(\d+)", re.IGNORECASE)
_PCM_BYTES_A_SAMPLE = 2


@frozen
class AudioFacts:
    """What is known of a recording before it is sent."""

    size: int | None
    """Bytes, or None for a stream."""
    format: str | None
    """``mp3``, ``wav``, ``opus``, ``pcm``, the name of a format that the API doesn't take, or None."""
    media_type: str
    """As it goes over the wire."""
    duration: float | None = None
    """Seconds, where the headers tell."""
    sha256: str | None = None
    """The digest of all of it in hexadecimal, where it was asked for."""


def detect(head: bytes | memoryview) -> str | None:
    """Name the format of audio that begins with *head* (64 bytes are enough, but for a tag at the front)."""
    head = bytes(head[:4096]) if len(head) < 10 or head[:3] != b"ID3" else _after_id3(head)
    match head[:4]:
        case b"RIFF" if head[8:12] == b"WAVE":
            return "wav"
        case b"OggS":
            return "opus" if b"OpusHead" in head[:64] else "ogg"
        case b"fLaC":
            return "flac"
        case b"\x1aE\xdf\xa3":
            return "webm"
        case b"FORM":
            return "aiff"
        case b"#!AM":
            return "amr"
        case b"ID3\x00":
            return "mp3"
        case _ if head[4:8] == b"ftyp":
            return "m4a"
        case _:
            return _mpeg(head)


def _after_id3(head: bytes | memoryview) -> bytes:
    """Skip an ID3v2 tag; where it is longer than *head*, mp3 is the best guess, as it is for every tagger."""
    a, b, c, d = (byte & 0x7F for byte in head[6:10])
    end = 10 + (a << 21 | b << 14 | c << 7 | d)
    body = bytes(head[end : end + 4096]).lstrip(b"\0")
    return body or b"ID3\x00"


def _mpeg(head: bytes) -> str | None:
    """Tell an MPEG audio frame's header from text and from AAC, which has the same sync word."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, head[1] >> 1 & 3
    if layer == 0:
        return "aac" if head[1] & 0xF0 == 0xF0 else None
    bitrate, rate = head[2] >> 4, head[2] >> 2 & 3
    return None if layer != 1 or version == 1 or bitrate in {0, 15} or rate == 3 else "mp3"


def facts_of(
    head: bytes | memoryview, size: int | None, content_type: str | None, whole: Opener | None
) -> AudioFacts:
    """Put together what is known of audio.

    Args:
        head: Its first bytes.
        size: All of its bytes, or None if that is not known.
        content_type: The declared media type, which decides for raw samples: no content could tell those.
        whole: Opens all of it for its headers to be read, if its duration is to be measured.
    """
    seconds = None
    if content_type is not None and _PCM.match(content_type):
        audio_format: str | None = "pcm"
        if size is not None:
            seconds = _pcm_duration(content_type, size)
    else:
        audio_format = detect(head)
        if whole is not None and audio_format is not None:
            seconds = _duration(whole())
    media_type = content_type or _MEDIA_TYPES.get(audio_format or "", "application/octet-stream")
    return AudioFacts(size, audio_format, media_type, seconds)


def in_memory(data: memoryview) -> BinaryIO:
    """Open bytes in memory for a parser: unlike BytesIO, without a copy of all of them."""
    return cast("BinaryIO", _MemoryFile(data))


class _MemoryFile(io.RawIOBase):
    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        end = len(self._data) if count < 0 else self._position + count
        piece = bytes(self._data[self._position : end])
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def tell(self) -> int:
        return self._position


def _pcm_duration(content_type: str, size: int) -> float | None:
    """Compute the seconds of 16-bit samples, if the type tells their rate: ``audio/pcm;rate=16000``."""
    parameters = {name.lower(): int(number) for name, number in _PCM_PARAMETER.findall(content_type)}
    rate = parameters.get("rate", 0) * parameters.get("channels", 1)
    return size / (rate * _PCM_BYTES_A_SAMPLE) if rate else None


def _duration(file: BinaryIO) -> float | None:
    """Read the seconds of a recording from its headers; None where they don't tell."""
    try:
        tag = TinyTag.get(file_obj=file, tags=False)
    except TinyTagException:
        return None
    if tag.is_lossless and tag.duration and tag.bitrate:
        # A wav that was written to a pipe claims 4 GiB of samples, whatever followed.
        return min(tag.duration, tag.filesize * 8 / (tag.bitrate * 1000))
    return tag.duration
