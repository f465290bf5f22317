"""Puts together what is known of a recording: its format, by its content, and its duration, if known."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import BinaryIO, TypeAlias

from attrs import evolve, field, frozen

from siliconflow_voice.audio import mpeg, ogg, wav
from siliconflow_voice.audio.catalogue import FORMATS, UNKNOWN
from siliconflow_voice.audio.detection import detect
from siliconflow_voice.audio.length import Length
from siliconflow_voice.audio.window import View, Window

__all__ = ["AudioFacts", "Opener", "facts_of", "facts_of_beginning", "pcm_shape", "tells"]

Opener: TypeAlias = Callable[[], BinaryIO]

_PCM = re.compile(r"audio/(?:x-)?(?:pcm|l16)\b", re.IGNORECASE)
_PCM_PARAMETER = re.compile(r";\s*(rate|channels)=(\d{1,9})(?!\d)", re.IGNORECASE)
_PCM_BYTES_A_SAMPLE = 2
_QUICK_LOOK = 1 << 16

_MEASURES: dict[str, Callable[[Window, int], Length | None]] = {
    "mp3": mpeg.measure,
    "opus": ogg.measure,
    "rf64": wav.measure,
    "rifx": wav.measure,
    "wav": wav.measure,
}


@frozen
class AudioFacts:
    """What is known of a recording before it is sent."""

    size: int | None
    """Bytes, or None for a stream."""
    format: str | None
    """``mp3``, ``wav``, ``opus``, ``pcm``, the word for a format that the API doesn't take or for something
    that is not audio (``flac``, ``rf64``, ``html`` …), or None if it is not recognised."""
    media_type: str
    """As it goes over the wire."""
    duration: float | None = None
    """Seconds as a decoder puts them out, or None where they are not known. Never a guess."""
    sha256: str | None = None
    """The digest of all of it in hexadecimal, where it was asked for."""
    unsure: float = field(default=0.0, repr=False)
    """Seconds of the duration that may be an encoder's padding: those of an mp3 that doesn't tell."""

    @property
    def extension(self) -> str:
        """The extension that fits the format, without a dot; ``bin`` if it is not recognised."""
        return FORMATS.get(self.format or "", UNKNOWN).extension


def facts_of(
    head: View,
    size: int | None,
    content_type: str | None,
    whole: Opener | None,
    *,
    measure: bool = True,
    most: int | None = None,
) -> AudioFacts:
    """Put together what is known of audio.

    It takes some milliseconds at worst, whatever is in the audio: all that is walked or searched has a bound.

    Args:
        head: Its first bytes, or all of them.
        size: All of its bytes, or None if that is not known.
        content_type: The declared media type, which decides for raw samples: no content could tell those.
        whole: Opens all of it, and leaves it at its beginning, if that is more than *head*.
        measure: Whether to find out its duration.
        most: Bytes beyond which only *head* is looked at, as it is refused for its size.
    """
    if content_type is not None and _PCM.match(content_type):
        seconds = None if size is None else _pcm_duration(content_type, size)
        return AudioFacts(size, "pcm", content_type, seconds)
    if size is not None and most is not None and size > most:
        head, whole = head[:_QUICK_LOOK], None
    complete = size is not None and size <= len(head)
    file = None if complete or size is None or whole is None else whole()
    window = Window(head, size, file, whole=complete or file is not None)
    found = detect(window, content_type)
    media_type = content_type or FORMATS.get(found.format or "", UNKNOWN).media_type
    length = None
    if measure and window.whole and (by := _MEASURES.get(found.format or "")) is not None:
        length = by(window, found.start)
    if length is None:
        return AudioFacts(size, found.format, media_type)
    return AudioFacts(size, found.format, media_type, length.seconds, unsure=length.unsure)


def facts_of_beginning(
    head: bytes, content_type: str | None, *, ended: bool, measure: bool = True
) -> AudioFacts:
    """Put together what is known of audio that is read once, of which *head* was read.

    If that was its end, it is known as a whole; but how it is sent does not depend on that.
    """
    if not ended:
        return facts_of(head, None, content_type, None)
    facts = facts_of(head, len(head), content_type, None, measure=measure)
    return evolve(facts, size=None) if head else facts


def tells(head: bytes, content_type: str | None) -> bool:
    """Return whether the beginning of audio is enough to know its format."""
    if content_type is not None and _PCM.match(content_type):
        return True
    found = detect(Window(head, whole=False), content_type)
    return found.format is not None and found.start < len(head)


def pcm_shape(content_type: str) -> tuple[int, int] | None:
    """Return the rate and the channels of raw samples, if the type tells a rate: ``audio/pcm;rate=16000``."""
    parameters = {name.lower(): int(number) for name, number in _PCM_PARAMETER.findall(content_type)}
    rate, channels = parameters.get("rate", 0), parameters.get("channels", 1)
    return (rate, channels) if rate and channels else None


def _pcm_duration(content_type: str, size: int) -> float | None:
    """Compute the seconds of 16-bit samples, if the type tells their rate."""
    shape = pcm_shape(content_type)
    return size / (shape[0] * shape[1] * _PCM_BYTES_A_SAMPLE) if shape else None
