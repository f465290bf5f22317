"""The body of a request for speech: checked as the service checks it, and answered with sound."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any, cast

import pybase64
from attrs import field, frozen

from siliconflow_voice.emulator.answers import Answer, error_answer
from siliconflow_voice.emulator.sound import RATES, repaired, spoken
from siliconflow_voice.emulator.uploads import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Collection

    from aiohttp import web

__all__ = ["DISABLED", "SPEAKING", "Delivery", "SpeechOrder", "Stage", "check_order", "read_order", "speak"]

SPEAKING = ("FunAudioLLM/CosyVoice2-0.5B", "fnlp/MOSS-TTSD-v0.5")
"""The models that speak."""
DISABLED = (
    "IndexTeam/IndexTTS-2",
    "fishaudio/fish-speech-1.4",
    "fishaudio/fish-speech-1.5",
    "RVC-Boss/GPT-SoVITS",
)
"""Models that spoke once."""
_PRESETS = ("alex", "anna", "bella", "benjamin", "charles", "claire", "david", "diana")
_MEDIA_TYPES = {"mp3": "audio/mpeg", "opus": "audio/ogg", "wav": "audio/wav", "pcm": "audio/pcm"}
# What comes without a sample rate: mp3 as measured, the others as documented.
_USUAL_RATES = {"mp3": 32_000, "opus": 48_000, "wav": 44_100, "pcm": 44_100}
_MOST_CHARACTERS = 128_000
_DATA_URI = re.compile(r"data:[^,]*;base64,", re.IGNORECASE)

_SECONDS_PER_CHARACTER = 0.2
_MOST_SECONDS = 600.0


@frozen
class Delivery:
    """How the emulator sends speech.

    Example::

        Emulator(delivery=Delivery(content_type="application/octet-stream", list_chunk=True))
    """

    content_type: str | None = None
    """The answer's content type; None for the format's own, ``""`` for an empty one."""
    list_chunk: bool = False
    """Whether a wav has a LIST chunk before its data, as some were seen to have."""
    chunk_bytes: int = field(default=4_095)
    """Bytes of each chunk. The default is odd, so that chunks of pcm end within samples."""
    first_after: float = 0.0
    """Seconds before the first chunk."""
    pause: float = 0.0
    """Seconds between two chunks."""

    def __attrs_post_init__(self) -> None:
        if self.chunk_bytes < 1:
            raise ValueError(f"chunk_bytes must be at least 1, got {self.chunk_bytes!r:.80}")
        if self.first_after < 0 or self.pause < 0:
            raise ValueError("first_after and pause must not be negative")


@frozen
class SpeechOrder:
    """The fields of a request for speech as they came."""

    fields: dict[str, Any]

    @property
    def model(self) -> str:
        """The model whose quota it counts against; empty if it names no model."""
        return _text(self.fields.get("model"))

    @property
    def input(self) -> str:
        """What is to be spoken."""
        return _text(self.fields.get("input"))

    @property
    def tokens(self) -> int:
        """The tokens that it costs: one for each byte of the input, by the emulator's own assumption."""
        return len(self.input.encode("utf-8", "replace"))


async def read_order(request: web.Request) -> SpeechOrder | Answer:
    """Read the body; return the answer 400 with code 20015 if it can't be understood."""
    try:
        document: object = json.loads(await request.read())
    except MALFORMED:
        document = None
    if not isinstance(document, dict):
        return error_answer(400, 20015, "The body is malformed.")
    return SpeechOrder(cast("dict[str, Any]", document))


@frozen
class Stage:
    """What the account can speak with."""

    models: Collection[str]
    uris: Collection[str]
    """The voices of the account."""
    max_audio_bytes: int
    """The largest reference."""


def check_order(order: SpeechOrder, stage: Stage) -> Answer | None:
    """Check each field; return the first refusal, or None."""
    return (
        _check_model_and_input(order, stage.models)
        or _check_who_speaks(order.fields, stage)
        or _check_sound(order.fields)
    )


def _check_model_and_input(order: SpeechOrder, models: Collection[str]) -> Answer | None:
    if not order.model:
        return error_answer(400, 20012, "The model is required.")
    if order.model in DISABLED:
        return error_answer(403, 30003, "Model disabled.")
    if order.model not in models:
        return error_answer(400, 20012, "Model does not exist. Please check it carefully.")
    if not order.input:
        return error_answer(400, 20018, "The input is required.")
    if len(order.input) > _MOST_CHARACTERS:
        return error_answer(400, 20050, "The input is too long.")
    return None


def _check_who_speaks(fields: dict[str, Any], stage: Stage) -> Answer | None:
    voice, references = fields.get("voice"), fields.get("references")
    if not isinstance(voice, str | None):
        return error_answer(400, 20047, "Invalid voice")
    if not isinstance(references, list | None):
        return error_answer(400, 20015, "References must be a list.")
    if not voice and not references:
        return error_answer(400, 20052, "Voice or reference is required.")
    if voice and references:
        return error_answer(400, 20053, "Voice and references can't both be given.")
    if not references:
        return _check_voice(voice or "", stage)
    return _check_references(references, stage)  # pyright: ignore[reportUnknownArgumentType] - JSON


def _check_references(references: list[Any], stage: Stage) -> Answer | None:
    refusals = (_check_reference(reference, stage.max_audio_bytes) for reference in references)
    return next((refusal for refusal in refusals if refusal), None)


def _check_voice(voice: str, stage: Stage) -> Answer | None:
    if voice.startswith("speech:"):
        return None if voice in stage.uris else error_answer(400, 20059, "The voice does not exist.")
    model, _, preset = voice.rpartition(":")
    if model not in stage.models or preset not in _PRESETS:
        return error_answer(400, 20047, "Invalid voice")
    return None


def _check_reference(reference: Any, max_audio_bytes: int) -> Answer | None:
    match reference:
        case {"audio": str(audio), "text": str(text)} if audio and text:
            pass
        case {"audio": str(audio)} if audio:
            # So it was seen to end, and not with a 400.
            return error_answer(500, 50507, "Request processing has failed due to an unknown error.")
        case _:
            return error_answer(400, 20046, "The reference audio is required.")
    if audio.startswith(("http://", "https://")):
        return error_answer(400, 20022, "The audio could not be fetched.")  # there is no network here
    header = _DATA_URI.match(audio)
    if header is None:
        return error_answer(400, 20049, "The audio must be a data URI with base64.")
    try:
        data = pybase64.b64decode(audio[header.end() :], validate=True)
    except ValueError:
        return error_answer(400, 20049, "The audio must be a data URI with base64.")
    if len(data) > max_audio_bytes:
        return error_answer(413, 20045, "The audio is too large.")
    return None if data else error_answer(400, 20044, "The audio is invalid.")


def _check_sound(fields: dict[str, Any]) -> Answer | None:
    format_ = fields.get("response_format", "mp3")
    if not isinstance(format_, str) or format_ not in RATES:
        return error_answer(400, 20082, "The response format is not supported.")
    if "sample_rate" in fields and fields["sample_rate"] not in RATES[format_]:
        return error_answer(400, 20015, f"The sample rate is not supported for {format_}.")
    if not _is_within(fields.get("speed", 1.0), 0.25, 4.0):
        return error_answer(400, 20061, "The speed must be from 0.25 to 4.")
    if not _is_within(fields.get("gain", 0.0), -10.0, 10.0):
        return error_answer(400, 20062, "The gain must be from -10 to 10.")
    most = fields.get("max_tokens", 1)
    if not isinstance(most, int) or isinstance(most, bool) or most < 1:
        return error_answer(400, 20015, "max_tokens must be a whole number from 1.")
    if not isinstance(fields.get("stream", True), bool):
        return error_answer(400, 20015, "stream must be true or false.")
    return None


def speak(order: SpeechOrder, delivery: Delivery, count: int) -> tuple[Answer, list[str]]:
    """Speak what was asked for.

    Args:
        order: What passed all checks.
        delivery: How it is sent.
        count: How many were spoken before: the same input never sounds the same twice.

    Returns:
        The answer, and the digests of its sound: as it is sent and, if it is a wav, as a client saves it.
    """
    fields = order.fields
    format_: str = fields.get("response_format", "mp3")
    rate: int = fields.get("sample_rate") or _USUAL_RATES[format_]
    seconds = min(max(len(order.input) * _SECONDS_PER_CHARACTER, 0.5), _MOST_SECONDS) / fields.get(
        "speed", 1.0
    )
    who = json.dumps([fields.get("voice"), fields.get("references")])
    pitch = 100 + hashlib.sha256(who.encode()).digest()[0]
    mark = hashlib.sha256(f"{count}:{order.input}".encode("utf-8", "replace")).digest()[:16]
    sound = spoken(format_, rate, seconds, pitch, mark, list_chunk=delivery.list_chunk)
    versions = [sound, repaired(sound)] if format_ == "wav" else [sound]
    content_type = _MEDIA_TYPES[format_] if delivery.content_type is None else delivery.content_type
    answer = Answer(200, sound, content_type=content_type, chunk_bytes=delivery.chunk_bytes)
    return answer, [hashlib.sha256(version).hexdigest() for version in versions]


def _is_within(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
