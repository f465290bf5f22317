"""What is to be spoken, and how: checked before anything is sent, as far as the vendor documents it."""

from __future__ import annotations

import math
import re
from typing import Any, Literal, TypeAlias

from attrs import evolve, field, frozen

from siliconflow_voice.api.requests import DEFAULT_MODEL
from siliconflow_voice.audio.checks import check_text
from siliconflow_voice.audio.source import Audio
from siliconflow_voice.errors import InvalidUploadError
from siliconflow_voice.models import Voice
from siliconflow_voice.validation import check_choice

__all__ = ["Reference", "ResponseFormat", "SpeechParameters"]

ResponseFormat: TypeAlias = Literal["mp3", "opus", "wav", "pcm"]

# Source, like those of the ranges below: the vendor's page for POST /audio/speech. The first is what is sent
# for None: what the service speaks with then differs by model, and from its page.
_RATES: dict[str, tuple[int, ...]] = {
    "mp3": (32_000, 44_100),
    "opus": (48_000,),
    "wav": (24_000, 8_000, 16_000, 32_000, 44_100),
    "pcm": (24_000, 8_000, 16_000, 32_000, 44_100),
}
_MOST_CHARACTERS = 128_000
_MOST_TOKENS = 32_768
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NO_MAX_TOKENS = "FunAudioLLM/CosyVoice"


@frozen
class Reference:
    """A recording to speak like, and what is spoken in it: cloning without an upload."""

    audio: Audio = field(repr=lambda audio: f"<{type(audio).__name__}>")
    """A path, bytes, a binary file, an async iterable of bytes, or an AudioSource, as for an upload."""
    text: str
    """What is spoken in the recording, word for word."""


def _listed(references: Any) -> tuple[Any, ...]:
    """Return references as a tuple; a single one, and None, are what callers pass too."""
    if references is None:
        return ()
    if isinstance(references, Reference):
        return (references,)
    try:
        return tuple(references)
    except TypeError:
        kind = type(references).__name__
        reason = f"expected a list of Reference(audio, text), not {kind}"
        raise InvalidUploadError("references", reason, rule="type") from None


@frozen
class SpeechParameters:
    """The arguments of :meth:`VoiceClient.stream_speech`."""

    text: str
    voice: Voice | str | None
    references: tuple[Reference, ...] = field(converter=_listed)
    model: str | None
    response_format: ResponseFormat
    sample_rate: int | None
    speed: float
    gain: float
    max_tokens: int | None

    def completed(self, *, limited: bool) -> SpeechParameters:
        """Return them with the defaults filled in.

        Args:
            limited: Whether to check ranges and combinations, which may change on the vendor's side.

        Raises:
            InvalidUploadError: One breaks a rule of the API.
        """
        check_choice("response_format", self.response_format, ResponseFormat)
        check_text("text", self.text)
        complete = evolve(self, model=_model(self), sample_rate=_sample_rate(self, limited=limited))
        _check_who_speaks(complete)
        _check_number("speed", self.speed)
        _check_number("gain", self.gain)
        if self.max_tokens is not None:
            _check_count("max_tokens", self.max_tokens)
        if limited:
            complete.check_limits()
        return complete

    def check_limits(self) -> None:
        """Refuse what is outside the documented ranges.

        Raises:
            InvalidUploadError: With the argument's name and the rule.
        """
        if not self.text.strip():
            raise InvalidUploadError("text", "is empty", rule="empty")
        if len(self.text) > _MOST_CHARACTERS:
            raise InvalidUploadError(
                "text",
                f"has {len(self.text):,} characters; the limit is {_MOST_CHARACTERS:,}",
                rule="too_long",
            )
        _check_range("speed", self.speed, 0.25, 4.0)
        _check_range("gain", self.gain, -10.0, 10.0)
        if self.max_tokens is None:
            return
        _check_range("max_tokens", self.max_tokens, 1, _MOST_TOKENS)
        if str(self.model).startswith(_NO_MAX_TOKENS):
            raise InvalidUploadError(
                "max_tokens",
                f"is not for {self.model}: leave it out, or use a MOSS model",
                rule="combination",
            )

    def who(self) -> str:
        """Return who speaks, for events and logs, which texts of others have no place in."""
        return (
            f"{len(self.references)} references"
            if self.voice is None
            else _voice(self.voice, str(self.model))
        )

    def fields(self) -> dict[str, Any]:
        """Return the fields of the request, the references aside."""
        fields: dict[str, Any] = {"model": self.model, "input": self.text}
        if self.voice is not None:
            fields["voice"] = _voice(self.voice, str(self.model))
        fields |= {
            "response_format": self.response_format,
            "sample_rate": self.sample_rate,
            "stream": True,
            "speed": self.speed,
            "gain": self.gain,
        }
        if self.max_tokens is not None:
            fields["max_tokens"] = self.max_tokens
        return fields


def _model(parameters: SpeechParameters) -> str:
    model = parameters.model
    if model is None:
        model = parameters.voice.model if isinstance(parameters.voice, Voice) else ""
        return model or DEFAULT_MODEL
    check_text("model", model)
    if not model:
        raise InvalidUploadError("model", "is empty", rule="empty")
    if control := _CONTROL.search(model):
        raise InvalidUploadError("model", f"has the control character {control.group()!r}", rule="name")
    return model


def _sample_rate(parameters: SpeechParameters, *, limited: bool) -> int:
    rates, rate = _RATES[parameters.response_format], parameters.sample_rate
    if rate is None:
        return rates[0]
    _check_count("sample_rate", rate)
    if limited and rate not in rates:
        supported = ", ".join(map(str, sorted(rates)))
        raise InvalidUploadError(
            "sample_rate",
            f"{rate} is not supported for {parameters.response_format}; supported: {supported}",
            rule="combination",
        )
    return rate


def _check_who_speaks(parameters: SpeechParameters) -> None:
    voice, references = parameters.voice, parameters.references
    if voice is None and not references:
        raise InvalidUploadError(
            "voice",
            "is required: pass a Voice, a uri, or a preset's name; or pass references",
            rule="required",
        )
    if voice is not None and references:
        raise InvalidUploadError(
            "references", "can't be passed together with voice: pass one of them", rule="combination"
        )
    if voice is not None:
        _check_voice(voice)
    for index, reference in enumerate(references):
        _check_reference(f"references[{index}]", reference)


def _check_voice(voice: object) -> None:
    if not isinstance(voice, Voice | str):
        raise InvalidUploadError("voice", f"expected a Voice or str, not {type(voice).__name__}", rule="type")
    uri = voice.uri if isinstance(voice, Voice) else voice
    check_text("voice", uri)
    if not uri.strip():
        raise InvalidUploadError("voice", "is empty", rule="empty")


def _check_reference(name: str, reference: object) -> None:
    if not isinstance(reference, Reference):
        kind = type(reference).__name__
        raise InvalidUploadError(name, f"expected Reference(audio, text), not {kind}", rule="type")
    check_text(f"{name}.text", reference.text)
    if not reference.text.strip():
        reason = "is empty; it must be what is spoken in the audio, word for word"
        raise InvalidUploadError(f"{name}.text", reason, rule="empty")


def _voice(voice: Voice | str, model: str) -> str:
    """Return what names a voice: its uri, or a preset's name behind the model's."""
    if isinstance(voice, Voice):
        return voice.uri
    return voice if ":" in voice else f"{model}:{voice}"


def _check_range(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidUploadError(name, f"must be from {least:g} to {most:g}, got {value:g}", rule="range")


def _check_number(name: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidUploadError(name, f"must be a number, got {value!r:.80}", rule="type")


def _check_count(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InvalidUploadError(name, f"must be a whole number from 1, got {value!r:.80}", rule="type")
