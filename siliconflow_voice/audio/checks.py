"""What can be refused before a byte is sent, each rule a figure that can be changed."""

from __future__ import annotations

import re
from typing import Any

from attrs import Attribute, field, frozen

from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError
from siliconflow_voice.validation import positive_or_none

__all__ = ["AudioLimits", "check_audio", "check_texts"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


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
    """Longest recording, in seconds, where its headers tell. Source: the same guide; it advises 8 to 10 s."""
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
        _check_text(name, value)
    if limits is None:
        return
    for name, value in (("custom_name", custom_name), ("model", model)):
        if not value:
            raise InvalidUploadError(name, "is empty")
        if control := _CONTROL.search(value):
            raise InvalidUploadError(name, f"has the control character {control.group()!r}")
    if limits.name_pattern is not None and not re.fullmatch(limits.name_pattern, custom_name):
        raise InvalidUploadError(
            "custom_name", f"{_shown(custom_name)} does not match {limits.name_pattern}: {_why(custom_name)}"
        )
    if not text.strip():
        raise InvalidUploadError("text", "is empty; it must be what is spoken in the audio, word for word")
    if "\0" in text:
        raise InvalidUploadError("text", "has a NUL character")


def check_audio(limits: AudioLimits | None, audio: AudioFacts, name: str) -> None:
    """Refuse audio that the API would refuse, as far as its first bytes and headers tell.

    Raises:
        InvalidUploadError: Of ``audio``, with the rule.
    """
    if audio.size == 0:
        raise InvalidUploadError("audio", f"{name} is empty")
    if limits is None:
        return
    if limits.max_bytes is not None and audio.size is not None and audio.size > limits.max_bytes:
        raise InvalidUploadError(
            "audio", f"{name} has {audio.size:,} bytes; at most {limits.max_bytes:,} are taken"
        )
    if limits.formats is not None and audio.format not in limits.formats:
        known = ", ".join(sorted(limits.formats))
        found = f"is {audio.format}" if audio.format else "is no audio that its first bytes would tell"
        raise InvalidUploadError("audio", f"{name} {found}; taken are {known}")
    if limits.max_seconds is not None and audio.duration is not None and audio.duration > limits.max_seconds:
        raise InvalidUploadError(
            "audio", f"{name} lasts {audio.duration:.1f} s; at most {limits.max_seconds:g} s are taken"
        )


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        raise InvalidUploadError(name, f"expected str, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidUploadError(name, "has a lone surrogate, which UTF-8 can't carry") from None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 80 else f"{value[:77]}...")


def _why(custom_name: str) -> str:
    strange = re.search(r"[^A-Za-z0-9_-]", custom_name)
    return f"it has {strange.group()!r}" if strange else f"it has {len(custom_name)} characters"
