"""What can be refused before a byte is sent, each rule a figure that can be changed."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from attrs import Attribute, field, frozen

from siliconflow_voice.audio.catalogue import FORMATS, UNKNOWN, advice
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.validation import positive_or_none

__all__ = ["AudioLimits", "audio_refusal", "check_audio", "check_text", "check_texts"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Controls, formats, spaces and marks; and letters and signs that are blank all the same.
_INVISIBLE = {"Cc", "Cf", "Zs", "Zl", "Zp", "Mn", "Me"}
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _compiles(instance: object, attribute: Attribute[Any], value: Any) -> None:
    if value is None:
        return
    try:
        re.fullmatch(value, "")
    except (re.error, TypeError) as error:
        owner = f"{type(instance).__name__}({attribute.name}=…)"
        raise ConfigurationError(f"{owner} takes a regular expression, not {value!r}: {error}") from None


@frozen
class AudioLimits:
    """What the vendor takes as a reference recording, as far as is known.

    Each figure is a field, so that one which has changed on the vendor's side needs no new release;
    None lifts it. ``VoiceClient(limits=None)`` turns all of them off.
    """

    formats: frozenset[str] | None = frozenset({"mp3", "wav", "opus", "pcm"})
    """Formats, told by content and not by the file's name. Source: the vendor's guide to voice cloning."""
    max_seconds: float | None = field(default=30.0, validator=positive_or_none)
    """Longest recording, in seconds, if its duration is known. Source: the same guide; it advises 8 to 10."""
    max_bytes: int | None = field(default=5_000_000, validator=positive_or_none)
    """Largest recording, in bytes. Source: error 20045 of an older table of the vendor's, "over 5 MB"."""
    name_pattern: str | None = field(default=r"[A-Za-z0-9_-]{1,64}", validator=_compiles)
    """A regular expression for the whole of ``custom_name``. Source: the vendor's error 20048 and guide."""


def check_texts(limits: AudioLimits | None, *, custom_name: str, text: str, model: str) -> None:
    """Refuse a name, transcript or model that the API would refuse.

    Raises:
        InvalidUploadError: With the field's name and the rule.
    """
    for name, value in (("custom_name", custom_name), ("text", text), ("model", model)):
        check_text(name, value)
    if limits is None:
        return
    for name, value in (("custom_name", custom_name), ("model", model)):
        if not value:
            raise InvalidUploadError(name, "is empty", rule="empty")
        if control := _CONTROL.search(value):
            raise InvalidUploadError(name, f"has the control character {control.group()!r}", rule="name")
    if limits.name_pattern is not None and not re.fullmatch(limits.name_pattern, custom_name):
        raise InvalidUploadError(
            "custom_name",
            f"{_shown(custom_name)} does not match {limits.name_pattern}: {_why(custom_name)}",
            rule="name",
        )
    if all(char in _BLANK or unicodedata.category(char) in _INVISIBLE for char in text):
        what = "has nothing visible in it" if text.strip() else "is empty"
        raise InvalidUploadError(
            "text", f"{what}; it must be what is spoken in the audio, word for word", rule="empty"
        )
    if "\0" in text:
        raise InvalidUploadError("text", "has a NUL character", rule="text")


def check_audio(limits: AudioLimits | None, audio: AudioFacts, name: str) -> None:
    """Refuse audio that is known to break a rule of the API.

    Raises:
        InvalidUploadError: Of ``audio``, with the rule.
    """
    if (refusal := audio_refusal(limits, audio, name)) is not None:
        raise refusal


def audio_refusal(limits: AudioLimits | None, audio: AudioFacts, name: str) -> InvalidUploadError | None:
    """Return why audio would be refused, or None if nothing is known against it.

    Args:
        limits: What is accepted; with None, anything that is not empty.
        audio: What :func:`inspect_audio` returned.
        name: What the message calls it.
    """
    if audio.size == 0:
        return InvalidUploadError("audio", f"{name} is empty", rule="empty")
    if limits is None:
        return None
    if limits.max_bytes is not None and audio.size is not None and audio.size > limits.max_bytes:
        return InvalidUploadError(
            "audio", f"{name} is {audio.size:,} bytes; the limit is {limits.max_bytes:,}", rule="too_large"
        )
    if limits.formats is not None and audio.format not in limits.formats:
        found = FORMATS.get(audio.format or "", UNKNOWN)
        parts = [f"{name} is {found.title}", f"supported: {', '.join(sorted(limits.formats))}"]
        reason = "; ".join(filter(None, [*parts, advice(found, limits.formats)]))
        return InvalidUploadError("audio", reason, rule="format")
    if audio.duration == 0:
        return InvalidUploadError("audio", f"{name} is empty: headers without any sound", rule="empty")
    if limits.max_seconds is None or audio.duration is None:
        return None
    if audio.duration - audio.unsure <= limits.max_seconds:
        return None
    lasts = _longer(audio.duration, limits.max_seconds)
    return InvalidUploadError(
        "audio", f"{name} lasts {lasts} s; the limit is {limits.max_seconds:g} s", rule="too_long"
    )


def _longer(seconds: float, limit: float) -> str:
    """Write *seconds* with as many digits as it takes to see that they are more than the *limit*."""
    digits = 1
    while digits < 9 and float(f"{seconds:.{digits}f}") <= limit:
        digits += 1
    return f"{seconds:.{digits}f}"


def check_text(name: str, value: object) -> None:
    """Refuse what is not a text that UTF-8 can carry.

    Raises:
        InvalidUploadError: With the field's name and the rule.
    """
    if not isinstance(value, str):
        raise InvalidUploadError(name, f"expected str, not {type(value).__name__}", rule="type")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidUploadError(name, "has a lone surrogate, which UTF-8 can't carry", rule="text") from None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 80 else f"{value[:77]}...")


def _why(custom_name: str) -> str:
    strange = re.search(r"[^A-Za-z0-9_-]", custom_name)
    return f"it has {strange.group()!r}" if strange else f"it has {len(custom_name)} characters"
