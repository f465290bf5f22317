"""Recordings made of nothing: valid, and as odd as people's tools make them."""

from __future__ import annotations

import struct

__all__ = ["FRAME", "ape", "frames", "hum", "id3", "info", "mpeg", "opus", "page", "wav"]

_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
FRAME = 1152 / 44_100
"""Seconds of a frame."""


def mpeg(kbps: int = 128) -> bytes:
    """Make a silent frame of MPEG 1 layer III, 44.1 kHz, mono."""
    return bytes([0xFF, 0xFB, _RATES.index(kbps) << 4, 0xC4]) + bytes(144 * kbps * 1000 // 44_100 - 4)


def frames(seconds: float, kbps: int = 128) -> bytes:
    """Make as many frames as come nearest to the seconds."""
    return mpeg(kbps) * round(seconds / FRAME)


def info(
    count: int,
    *,
    size: int = 0,
    delay: int = 576,
    padding: int = 0,
    encoder: bytes = b"LAME3.100",
    at: int = 21,
) -> bytes:
    """Make the frame in front that says how many follow, as LAME and ffmpeg write it."""
    frame = bytearray(mpeg())
    tag = b"Info" + struct.pack(">III", 7, count, size) + bytes(100) + encoder.ljust(21, b"\0")
    tag += bytes([delay >> 4, (delay & 15) << 4 | padding >> 8, padding & 255])
    frame[at : at + len(tag)] = tag  # mono: after 4 of header and 17 of side information
    return bytes(frame)


def id3(size: int, *, footer: bool = False) -> bytes:
    """Make an ID3v2 tag around as many bytes."""
    length = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    tag = b"ID3\x04\0" + bytes([0x10 if footer else 0]) + length + bytes(size)
    return tag + (b"3DI" + tag[3:10] if footer else b"")


def ape(size: int, *, header: bool = True) -> bytes:
    """Make an APEv2 tag around as many bytes; without a header, as the first version is."""
    first, last = (
        b"APETAGEX" + struct.pack("<IIII", 2000, size + 32, 1, flags | header << 31) + bytes(8)
        for flags in (1 << 29, 0)
    )
    return (first if header else b"") + b"\x01" * size + last


def wav(
    data: bytes,
    *,
    fmt: bytes | None = None,
    size: int | None = None,
    front: bytes = b"",
    magic: bytes = b"RIFF",
) -> bytes:
    """Make a wav of samples: of 16 bits at 16 kHz, if *fmt* doesn't say otherwise."""
    order = ">" if magic == b"RIFX" else "<"
    fmt = fmt or struct.pack(order + "HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    size = len(data) if size is None else size
    body = b"WAVE" + front + b"fmt " + struct.pack(order + "I", len(fmt)) + fmt
    body += b"data" + struct.pack(order + "I", size) + data
    return magic + struct.pack(order + "I", len(body)) + body


def hum(seconds: float, rate: int = 16_000) -> bytes:
    """Make samples that are not silence: a triangle of 100 Hz."""
    period = [200 * abs(i % 160 - 80) - 8_000 for i in range(160)]
    return struct.pack("<160h", *period) * int(seconds * rate / 160)


def _crc(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    return crc


def page(packets: list[bytes], granule: int, *, serial: int = 1, number: int = 0, flags: int = 0) -> bytes:
    """Make a page of Ogg."""
    lacing = b"".join(bytes([255] * (len(p) // 255) + [len(p) % 255]) for p in packets)
    head = b"OggS\0" + bytes([flags]) + struct.pack("<qIII", granule, serial, number, 0)
    made = bytearray(head + bytes([len(lacing)]) + lacing + b"".join(packets))
    made[22:26] = struct.pack("<I", _crc(bytes(made)))
    return bytes(made)


def opus(seconds: int, *, begin: int = 0, serial: int = 1, granules: bool = True, skip: int = 312) -> bytes:
    """Make silence in Opus: packets of 20 ms, fifty a page; *begin* is where the granule positions begin."""
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 1, skip, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", 0)
    made = [page([head], 0, serial=serial, flags=2), page([tags], 0, serial=serial, number=1)]
    for second in range(seconds):
        last = second == seconds - 1
        position = begin + (second + 1) * 48_000 + (skip if last else 0)
        packets = [b"\xf8\xff\xfe"] * (51 if last else 50)
        flags = 4 if last else 0
        made.append(page(packets, position if granules else 0, serial=serial, number=second + 2, flags=flags))
    return b"".join(made)
