"""Goes through a whole recording once, and keeps of it how loud it is from moment to moment."""

from __future__ import annotations

import math
from array import array
from contextlib import closing
from operator import mul

from attrs import frozen

from siliconflow_voice.audio.preparation.activity import HOP
from siliconflow_voice.audio.preparation.decoding import Decoder, Mix, samples_of

__all__ = ["MOST_SECONDS", "Course", "listen"]

MOST_SECONDS = 6 * 3600
"""Seconds of a recording that are looked at."""

# Speech is below 4 kHz, and hum and rumble below 100 Hz.
_RATE = 8_000
# A second at a time: what is counted in Python holds up the event loop for a millisecond.
_PIECE = _RATE
_CHAIN = (
    ("aresample", f"{_RATE}"),
    ("aformat", f"sample_fmts=s16:sample_rates={_RATE}:channel_layouts=mono"),
    ("highpass", "f=100"),
    ("asetnsamples", f"n={_PIECE}:p=0"),
)
_SAMPLES = round(_RATE * HOP)
_FULL = 32_500
_SILENT = -100.0


@frozen
class Course:
    """How loud a recording is from moment to moment."""

    levels: array[float]
    """In dBFS, one for every hop."""
    clipped: bytearray
    """Whether samples of the hop are at full scale."""
    seconds: float


def listen(decoder: Decoder, mix: Mix) -> Course:
    """Decode all of a recording, or its first hours, of which *mix* makes one channel."""
    levels, clipped, count = array("f"), bytearray(), 0
    with closing(decoder.frames(*mix, *_CHAIN)) as frames:
        for frame in frames:
            samples = samples_of(frame, "h")
            loud = max(samples) >= _FULL or min(samples) <= -_FULL
            for start in range(0, len(samples), _SAMPLES):
                hop = samples[start : start + _SAMPLES]
                power = sum(map(mul, hop, hop)) / len(hop)
                levels.append(10 * math.log10(power / (1 << 30)) if power else _SILENT)
                clipped.append(loud and (max(hop) >= _FULL or min(hop) <= -_FULL))
            count += len(samples)
            if count >= MOST_SECONDS * _RATE:
                break
    return Course(levels, clipped, count / _RATE)
