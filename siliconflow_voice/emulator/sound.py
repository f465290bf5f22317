"""The sound that the emulator speaks with: a tone in each of the four formats, or silence in two of them."""

from __future__ import annotations

import math
import struct
from array import array
from functools import cache

from siliconflow_voice.emulator.encoding import encoded

__all__ = ["RATES", "repaired", "spoken"]

RATES: dict[str, tuple[int, ...]] = {
    "mp3": (32_000, 44_100),
    "opus": (48_000,),
    "wav": (8_000, 16_000, 24_000, 32_000, 44_100),
    "pcm": (8_000, 16_000, 24_000, 32_000, 44_100),
}
"""The sample rates of each format, as documented."""

# Seconds of sound that are encoded, on the event loop.
_MOST_ENCODED = 10.0
_LOUDNESS = 8_000
_UNKNOWN_SIZE = 0xFFFF_FFFF
# As the real service has them: what an unseekable ffmpeg writes.
_UNKNOWN_DATA = _UNKNOWN_SIZE - 36
_MP3_RATES = {44_100: 0, 48_000: 1, 32_000: 2}
_OPUS_RATE = 48_000
_OPUS_SKIP = 312
_OPUS_SILENCE = b"\xf8\xff\xfe"  # 20 ms


def spoken(
    format_: str, rate: int, seconds: float, pitch: int, mark: bytes, *, list_chunk: bool = False
) -> bytes:
    """Return so many seconds of sound, as the service would stream it.

    It is a tone. Without PyAV, and beyond some seconds, which would take long to encode, mp3 and opus are
    valid streams of silence.

    Args:
        format_: ``mp3``, ``wav``, ``opus`` or ``pcm``.
        rate: Samples a second.
        seconds: How long it lasts.
        pitch: The tone's frequency.
        mark: Some bytes that make it differ from other sound.
        list_chunk: Whether a wav has a LIST chunk before its data.
    """
    if format_ in {"mp3", "opus"}:
        sound = None
        if seconds <= _MOST_ENCODED:
            sound = encoded(_tone(rate, seconds, pitch, mark), format_, rate, mark.hex())
        silence = _mp3(rate, seconds, mark) if format_ == "mp3" else _opus(seconds, mark)
        return silence if sound is None else sound
    samples = _tone(rate, seconds, pitch, mark)
    return _wav(samples, rate, list_chunk=list_chunk) if format_ == "wav" else samples


def repaired(wav: bytes) -> bytes:
    """Return a wav of :func:`spoken` with true sizes, as a client saves it."""
    data = wav.index(b"data")
    size = len(wav) - data - 8
    return (
        wav[:4]
        + struct.pack("<I", len(wav) - 8)
        + wav[8 : data + 4]
        + struct.pack("<I", size)
        + wav[data + 8 :]
    )


def _tone(rate: int, seconds: float, pitch: int, mark: bytes) -> bytes:
    """Return 16-bit samples: the mark, too quiet to be heard, and a sine."""
    samples = max(int(rate * seconds), len(mark))
    period = _period(rate // pitch)
    head = struct.pack(f"<{len(mark)}h", *mark)
    return (head + period * (samples * 2 // len(period) + 1))[: samples * 2]


@cache
def _period(length: int) -> bytes:
    sine = array("h", (int(_LOUDNESS * math.sin(2 * math.pi * n / length)) for n in range(length)))
    return struct.pack(f"<{length}h", *sine)


def _wav(samples: bytes, rate: int, *, list_chunk: bool) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 1, rate, rate * 2, 2, 16)
    info = b"INFOISFT" + struct.pack("<I", 14) + b"Lavf60.16.100\0"
    between = b"LIST" + struct.pack("<I", len(info)) + info if list_chunk else b""
    head = b"RIFF" + struct.pack("<I", _UNKNOWN_SIZE) + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    return head + between + b"data" + struct.pack("<I", _UNKNOWN_DATA) + samples


def _mp3(rate: int, seconds: float, mark: bytes) -> bytes:
    """Return silent frames of MPEG 1 layer III, 128 kbit/s, behind a tag with the mark."""
    comment = b"\0mark\0" + mark.hex().encode()
    frame = b"TXXX" + struct.pack(">IH", len(comment), 0) + comment
    tag = b"ID3\x04\0\0" + bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0)) + frame
    silence = bytes([0xFF, 0xFB, 0x90 | _MP3_RATES[rate] << 2, 0xC4]) + bytes(144 * 128_000 // rate - 4)
    return tag + silence * max(round(seconds * rate / 1_152), 1)


def _opus(seconds: float, mark: bytes) -> bytes:
    """Return silent packets of Opus in Ogg, fifty a page."""
    comment = b"mark=" + mark.hex().encode()
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, _OPUS_SKIP, _OPUS_RATE, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 8) + b"emulator" + struct.pack("<II", 1, len(comment)) + comment
    pages = [_page([head], 0, 0, flags=2), _page([tags], 0, 1)]
    left, position = max(round(seconds * 50), 1), 0
    while left:
        packets = min(left, 50)
        left -= packets
        position += packets * 960
        pages.append(_page([_OPUS_SILENCE] * packets, position, len(pages), flags=0 if left else 4))
    return b"".join(pages)


def _page(packets: list[bytes], granule: int, number: int, *, flags: int = 0) -> bytes:
    lacing = b"".join(bytes([255] * (len(packet) // 255) + [len(packet) % 255]) for packet in packets)
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qIII", granule, 1, number, 0) + bytes([len(lacing)])
    page = head + lacing + b"".join(packets)
    return page[:22] + struct.pack("<I", _ogg_crc(page)) + page[26:]


@cache
def _crc_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        crc = byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C1_1DB7 if crc & 0x8000_0000 else crc << 1) & 0xFFFF_FFFF
        table.append(crc)
    return table


def _ogg_crc(data: bytes) -> int:
    crc, table = 0, _crc_table()
    for byte in data:
        crc = (crc << 8 ^ table[crc >> 24 ^ byte]) & 0xFFFF_FFFF
    return crc
