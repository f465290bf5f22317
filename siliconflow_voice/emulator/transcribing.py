"""The body of a request for a transcript: read as it comes, checked as the service does, and answered."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader
from attrs import field, frozen

from siliconflow_voice.emulator.answers import Answer, error_answer, json_answer
from siliconflow_voice.emulator.uploads import CHUNK_BYTES, MALFORMED, Recording

if TYPE_CHECKING:
    from aiohttp import web

__all__ = ["TRANSCRIBING", "Submitted", "check_submitted", "read_submitted", "transcript_of"]

TRANSCRIBING = (
    "FunAudioLLM/SenseVoiceSmall",
    "TeleAI/TeleSpeechASR",
    "Qwen/Qwen3-ASR-1.7B",
    "XingChenAGI/XingChenASR-V3.2",
    "XingChenAGI/XingChenASR-V3.2-Ultra",
    "XingChenAGI/XingChenASR-Diarize-V3.0",
)
"""The models that transcribe."""
_MOST_BYTES = 50_000_000
_MOST_PARTS = 100
_HEAD_BYTES = 64
_UNKNOWN = "今天的天气真好，我们出去走走吧。😊"
# Seconds are counted by the size: roughly those of an mp3 at 128 kbit/s.
_BYTES_PER_SECOND = 16_000

# What files begin with, at which position; an mp3 begins in many ways.
_BEGINNINGS = (
    (0, b"fLaC", "flac"),
    (4, b"ftyp", "mp4"),
    (0, b"OggS", "ogg"),
    (0, b"RIFF", "wav"),
    (0, b"\x1aE\xdf\xa3", "webm"),
)
_EXTENSIONS = {
    "flac": "flac",
    "m4a": "mp4",
    "mp3": "mp3",
    "mp4": "mp4",
    "ogg": "ogg",
    "opus": "ogg",
    "wav": "wav",
    "webm": "webm",
}


@frozen
class Submitted:
    """The fields of a request for a transcript as they came."""

    model: str = ""
    filename: str = ""
    recording: Recording = field(factory=lambda: Recording(0, ""))
    """Its size and digest; empty if there was no file."""
    head: bytes | None = None
    """Its first bytes; None if there was no file."""


async def read_submitted(request: web.Request) -> Submitted | Answer:
    """Read the form to its end, in constant memory; return a 400 if it can't be understood."""
    if request.content_type != "multipart/form-data":
        return error_answer(400, 20015, f"Content-Type {request.content_type} is not supported.")
    try:
        return await _read(request)
    except MALFORMED as error:
        return error_answer(400, 20015, f"The body is malformed: {type(error).__name__}.")


async def _read(request: web.Request) -> Submitted:
    values: dict[str, Any] = {}
    reader = await request.multipart()
    for _ in range(_MOST_PARTS):
        part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            raise ValueError("multipart within multipart")  # noqa: TRY004 - malformed, like what aiohttp raises
        if part.name == "file":
            values |= {"filename": part.filename or "", **await _hash(part)}
        elif part.name == "model":
            values["model"] = (await part.read_chunk(1 << 10)).decode()
    return Submitted(**values)


async def _hash(part: BodyPartReader) -> dict[str, Any]:
    digest, size, head = hashlib.sha256(), 0, b""
    while chunk := await part.read_chunk(CHUNK_BYTES):
        head = head or bytes(chunk[:_HEAD_BYTES])
        size += len(chunk)
        digest.update(chunk)
    return {"recording": Recording(size, digest.hexdigest()), "head": head}


def check_submitted(submitted: Submitted) -> Answer | None:
    """Check model and file; return the first refusal, or None."""
    if not submitted.model:
        return error_answer(400, 20012, "The model is required.")
    if submitted.model not in TRANSCRIBING:
        return error_answer(400, 20012, "Model does not exist. Please check it carefully.")
    if submitted.head is None:
        return error_answer(400, 20018, "The file is required.")
    if submitted.recording.size > _MOST_BYTES:
        return error_answer(413, 20042, "The request entity is too large.")
    if not submitted.recording.size:
        return error_answer(400, 20044, "The audio is invalid.")
    extension = submitted.filename.rpartition(".")[2].lower()
    if extension not in _EXTENSIONS:
        return error_answer(400, 20083, "The audio format is not supported.")
    head = submitted.head
    kinds = (kind for position, magic, kind in _BEGINNINGS if head[position:].startswith(magic))
    if next(kinds, "mp3") != _EXTENSIONS[extension]:
        # As a webm called .wav was seen to end.
        return error_answer(500, 50507, "Request processing has failed due to an unknown error.")
    return None


def transcript_of(submitted: Submitted, text: str | None) -> Answer:
    """Return the answer of the model: a text and what else it was seen to answer.

    Args:
        submitted: What passed all checks.
        text: What is spoken in the recording, if that is known; None for a sentence that is always the same.
    """
    text = _UNKNOWN if text is None else text
    seconds = max(submitted.recording.size // _BYTES_PER_SECOND, 1)
    fields: dict[str, Any] = {"text": text}
    if "XingChen" in submitted.model:
        fields["duration"] = float(seconds)
    else:
        fields["language"] = (
            "Chinese" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "English"
        )
    if "Diarize" in submitted.model:
        segment = {
            "type": "speech",
            "id": "0",
            "start": 0.0,
            "end": float(seconds),
            "text": text,
            "speaker": "1",
        }
        fields |= {"text": f"1: {text}", "segments": [segment]}
    return json_answer(200, {**fields, "usage": {"type": "duration", "seconds": seconds}})
