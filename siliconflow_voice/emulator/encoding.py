"""Encodes the emulator's sound as mp3 or opus, where PyAV is installed."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

__all__ = ["encoded"]

_ENCODERS: dict[str, tuple[str, str, int]] = {
    "mp3": ("mp3", "libmp3lame", 128_000),
    "opus": ("ogg", "libopus", 32_000),
}


def encoded(samples: bytes, format_: str, rate: int, comment: str) -> bytes | None:
    """Return 16-bit mono samples as mp3 or opus, as they are streamed; None without PyAV.

    It takes some 10 ms for each second of sound.
    """
    try:
        av: Any = import_module("av")
    except ImportError:
        return None
    container_format, codec, bit_rate = _ENCODERS[format_]
    file = io.BytesIO()
    # A stream has no frame in front that says how many follow.
    options = {"write_xing": "0"} if format_ == "mp3" else {}
    with av.open(file, "w", format=container_format, options=options) as container:
        container.metadata["comment"] = comment
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "mono"
        stream.bit_rate = bit_rate
        frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples) // 2)
        frame.sample_rate = rate
        frame.planes[0].update(samples)
        for part in (frame, None):
            for packet in stream.encode(part):
                container.mux(packet)
    return file.getvalue()
