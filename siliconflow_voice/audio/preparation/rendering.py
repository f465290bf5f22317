"""Makes the reference of the part that is kept: levelled by EBU R 128, limited, and encoded."""

from __future__ import annotations

import io
import itertools
import math
from array import array
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any, cast

import av
from attrs import frozen
from av.audio.frame import AudioFrame

from siliconflow_voice.audio.preparation.decoding import Decoder, Filters, Mix, samples_of
from siliconflow_voice.audio.preparation.values import PreparedFormat, Recipe

__all__ = ["RATE", "Loudness", "Rendering", "kept", "measured", "rendered"]

RATE = 44_100
"""Samples a second of the result: what most recordings have, and the higher of the two that the API makes
mp3 with. Every reader of mp3 and wav knows it."""

_BIT_RATE = 192_000
_MONO = ("aformat", f"sample_fmts=flt:sample_rates={RATE}:channel_layouts=mono")
# True peaks lie between samples: they are limited where there are four times as many.
_OVERSAMPLED = RATE * 4
_PIECE = 1_152
"""Samples of a frame of mp3, so that the encoder gets whole ones."""
_FADE = 0.01
# A limiter takes loudness away, and an encoder adds to peaks: both are measured, and made up for.
_ROUNDS = 5
_NEAR = 0.2
_PEAK_BEFORE_LOUDNESS = 10.0
_MORE = 1.2
_LEAST_LOUDNESS = -69.0
_CODECS: dict[PreparedFormat, str] = {"mp3": "libmp3lame", "wav": "pcm_s16le"}
_SAMPLES: dict[PreparedFormat, str] = {"mp3": "fltp", "wav": "s16"}


@frozen
class Loudness:
    """What EBU R 128 measures."""

    integrated: float | None
    """LUFS, or None for what is too quiet or too short."""
    peak: float
    """True peak, in dBTP."""


@frozen
class Rendering:
    """The encoded result."""

    data: bytes
    loudness: Loudness
    seconds: float


def kept(decoder: Decoder, mix: Mix, begin: float, end: float) -> array[float]:
    """Decode a recording as far as *end*, and return the samples from *begin* on: seconds."""
    first, last = round(begin * RATE), round(end * RATE)
    samples, position = array("f"), 0
    with closing(decoder.frames(*mix, _MONO, ("asetnsamples", f"n={RATE}:p=0"))) as frames:
        for frame in frames:
            behind = position + frame.samples
            if behind > first:
                samples += samples_of(frame, "f")[max(first - position, 0) : last - position]
            position = behind
            if position >= last:
                break
    return samples


def measured(samples: array[float]) -> Loudness:
    """Measure mono samples."""
    return _measured(_frames(samples))


def rendered(
    samples: array[float], before: Loudness, recipe: Recipe, stopped: Callable[[], None]
) -> Rendering:
    """Level and encode samples, so that the encoded result has the loudness and the peak asked for."""
    # What is too quiet to be measured is raised by its peak, and measured then.
    gain = recipe.peak - before.peak if before.integrated is None else recipe.loudness - before.integrated
    ceiling = recipe.peak
    tried: list[tuple[float, Rendering]] = []
    for _ in range(_ROUNDS):
        stopped()
        rendering = _decoded(_encoded(samples, recipe.format, gain, ceiling))
        after = rendering.loudness
        off = 0.0 if after.integrated is None else recipe.loudness - after.integrated
        over = max(after.peak - recipe.peak, 0.0)
        tried.append((abs(off) + over * _PEAK_BEFORE_LOUDNESS, rendering))
        if abs(off) <= _NEAR and not over:
            break
        gain += off
        ceiling -= over * _MORE
    return min(tried, key=lambda one: one[0])[1]


def _encoded(samples: array[float], name: PreparedFormat, gain: float, ceiling: float) -> bytes:
    seconds = len(samples) / RATE
    chain = (
        ("volume", f"{gain:.3f}dB:precision=float"),
        ("aresample", f"{_OVERSAMPLED}"),
        ("alimiter", f"limit={_linear(ceiling):.6f}:attack=5:release=50:level=0:latency=1"),
        ("aresample", f"{RATE}"),
        ("afade", f"t=in:d={_FADE}"),
        ("afade", f"t=out:st={max(seconds - _FADE, 0):.4f}:d={_FADE}"),
        ("aformat", f"sample_fmts={_SAMPLES[name]}:sample_rates={RATE}:channel_layouts=mono"),
        ("asetnsamples", f"n={_PIECE}:p=0"),
    )
    file = io.BytesIO()
    # Without tags: neither the encoder's name nor anything of the source is in it.
    options = {"fflags": "+bitexact", "id3v2_version": "0"} if name == "mp3" else {"fflags": "+bitexact"}
    # What PyAV says of its types is not complete.
    opened = cast("Any", av.open(file, "w", format=name, container_options=options))
    with opened as container:
        stream = container.add_stream(_CODECS[name], rate=RATE, layout="mono")
        if name == "mp3":
            stream.bit_rate = _BIT_RATE
        position = 0
        for frame in _filtered(_frames(samples), *chain):
            frame.pts = position
            position += frame.samples
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def _decoded(data: bytes) -> Rendering:
    count = 0

    def counted() -> Iterator[AudioFrame]:
        nonlocal count
        opened = cast("Any", av.open(io.BytesIO(data), "r"))
        with opened as container:
            for frame in container.decode(audio=0):
                count += frame.samples
                yield frame

    loudness = _measured(counted())
    return Rendering(data, loudness, count / RATE)


def _measured(frames: Iterator[AudioFrame]) -> Loudness:
    integrated, peak = -math.inf, 0.0
    for frame in _filtered(frames, ("ebur128", "metadata=1:peak=true")):
        found = frame.metadata
        # The last one, which is not whole, has none.
        integrated = float(found.get("lavfi.r128.I", integrated))
        peak = float(found.get("lavfi.r128.true_peak", peak))
    heard = integrated if integrated > _LEAST_LOUDNESS else None
    return Loudness(heard, 20 * math.log10(max(peak, 1e-6)))


def _filtered(frames: Iterator[AudioFrame], *chain: tuple[str, str]) -> Iterator[AudioFrame]:
    first = next(frames)  # there is one: what is shorter than a second is refused before
    filters = Filters(first, *chain)
    for frame in itertools.chain([first], frames):
        filters.push(frame)
        yield from filters.pull()
    filters.push(None)
    yield from filters.pull()


def _frames(samples: array[float]) -> Iterator[AudioFrame]:
    for start in range(0, len(samples), _PIECE):
        piece = samples[start : start + _PIECE]
        frame = AudioFrame("flt", "mono", len(piece))
        frame.sample_rate = RATE
        frame.planes[0].update(piece.tobytes())
        yield frame


def _linear(decibels: float) -> float:
    return 10 ** (decibels / 20)
