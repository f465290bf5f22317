"""Makes a reference of an open recording: listens to it, chooses what is kept, and renders that."""

from __future__ import annotations

import threading
from typing import BinaryIO

from siliconflow_voice.audio.preparation.activity import HOP, find_speech
from siliconflow_voice.audio.preparation.cutting import choose
from siliconflow_voice.audio.preparation.decoding import (
    ALL_CHANNELS,
    FIRST_CHANNEL,
    Decoder,
    decoding_errors,
)
from siliconflow_voice.audio.preparation.listening import listen
from siliconflow_voice.audio.preparation.rendering import RATE, kept, measured, rendered
from siliconflow_voice.audio.preparation.values import PreparationReport, PreparedAudio, Recipe
from siliconflow_voice.errors import AudioSourceError, InvalidUploadError

__all__ = ["made"]

_LEAST_SECONDS = 1.0


class _StoppedError(Exception):
    """Nothing waits for the result any more."""


def made(
    file: BinaryIO, name: str, recipe: Recipe, *, raw: tuple[int, int] | None, stop: threading.Event
) -> PreparedAudio:
    """Make a reference of a recording.

    Args:
        file: The recording, which is read twice from its beginning.
        name: What messages call it.
        recipe: What it is to become.
        raw: The rate and the channels of raw samples; None for anything that has a header.
        stop: Set when nothing waits for the result any more.
    """

    def stopped() -> None:
        if stop.is_set():
            raise _StoppedError

    decoder = Decoder(file, name, raw=raw, stopped=stopped)
    with decoding_errors(name):
        source = decoder.facts()
        mix = ALL_CHANNELS
        course = listen(decoder, mix)
        if not course.levels:
            raise AudioSourceError(f"{name} can't be decoded: no sound comes out; check that it is whole")
        speech = find_speech(course.levels)
        if not speech and source.channels > 1:
            # Channels of opposite phase, as a cable wired wrongly makes them, leave nothing when mixed.
            mix = FIRST_CHANNEL
            course = listen(decoder, mix)
            speech = find_speech(course.levels)
        if not speech:
            raise InvalidUploadError(
                "audio",
                f"{name} has no speech in its {course.seconds:.1f} s, only silence or an even sound; "
                f"pass a recording of a voice",
                rule="no_speech",
            )
        cut = choose(course.levels, course.clipped, speech, seconds=recipe.seconds, whole=recipe.whole)
        begin, end = cut.begin * HOP, min(cut.end * HOP, course.seconds)
        if end - begin < _LEAST_SECONDS:
            raise InvalidUploadError(
                "audio",
                f"{name} has only {end - begin:.2f} s of speech, and a voice needs at least "
                f"{_LEAST_SECONDS:g} s; pass a longer recording",
                rule="too_short",
            )
        samples = kept(decoder, mix, begin, end)
        before = measured(samples)
        rendering = rendered(samples, before, recipe, stopped)
    report = PreparationReport(
        source_format=source.format,
        source_codec=source.codec,
        source_duration=course.seconds,
        source_channels=source.channels,
        source_rate=source.rate,
        speech=sum(map(len, speech)) * HOP,
        start=begin,
        end=end,
        at_pauses=cut.at_pauses,
        loudness_before=before.integrated,
        loudness_after=rendering.loudness.integrated,
        peak_before=before.peak,
        peak_after=rendering.loudness.peak,
        duration=rendering.seconds,
        sample_rate=RATE,
        size=len(rendering.data),
    )
    return PreparedAudio(
        rendering.data, filename=name, format=recipe.format, was_cut=cut.partial, report=report
    )
