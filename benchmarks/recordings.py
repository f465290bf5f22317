"""Recordings of 300 KB in the formats that the API takes, made from nothing."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from pathlib import Path

__all__ = ["FORMATS", "recording"]

FORMATS = ("wav", "mp3", "opus")


def recording(folder: Path, audio_format: str) -> Path:
    """Write 300 KB of sound, which last less than 30 s."""
    path = folder / f"300kb.{audio_format}"
    match audio_format:
        case "wav":
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 16_000, 0, "NONE", ""))
                file.writeframes(bytes(range(250)) * 1_200)
        case "mp3":
            # Frames of 128 kbit/s at 48 kHz, each 384 bytes long, as a constant bit rate has them.
            path.write_bytes((b"\xff\xfb\x94\xc4" + bytes(380)) * 780)
        case "opus":
            path.write_bytes(b"".join(_pages()))
    return path


def _pages() -> Iterator[bytes]:
    """Lay out 25 s of Opus in Ogg as RFC 7845 has it: packets of 20 ms and 240 bytes, fifty to a page."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 48_000, 0, 0)
    tags = b"OpusTags" + struct.pack("<I", 5) + b"bench" + struct.pack("<I", 0)
    yield _page(0, 0, [head], flags=2)
    yield _page(1, 0, [tags])
    packet = b"\xf8" + bytes(range(239))
    for number in range(1, 26):
        yield _page(number + 1, number * 48_000, [packet] * 50, flags=4 if number == 25 else 0)


def _page(number: int, granule: int, packets: list[bytes], *, flags: int = 0) -> bytes:
    lacing = b"".join(bytes([255] * (len(packet) // 255) + [len(packet) % 255]) for packet in packets)
    body = lacing + b"".join(packets)
    head = struct.pack("<4sBBQII", b"OggS", 0, flags, granule, 1, number)
    checksum = _checksum(head + bytes(4) + bytes([len(lacing)]) + body)
    return head + struct.pack("<IB", checksum, len(lacing)) + body


def _checksum(data: bytes) -> int:
    register = 0
    for byte in data:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ 0x04C11DB7 if register & 0x80000000 else register << 1) & 0xFFFFFFFF
    return register
