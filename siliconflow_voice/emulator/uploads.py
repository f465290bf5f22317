"""The body of an upload: read in any of its three forms, then checked as the service checks it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, cast

import pybase64
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError
from attrs import field, frozen

from siliconflow_voice.emulator.answers import Answer, error_answer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "CHUNK_BYTES",
    "MALFORMED",
    "Recording",
    "Submission",
    "Upload",
    "check_submission",
    "read_submission",
]

CHUNK_BYTES = 65_536
_TEXT_FIELD_BYTES = 1_048_576
_DATA_URI_HEADER_BYTES = 256
_MOST_PARTS = 100
# Python knows more, of which some, such as punycode, take time by the square of the length.
_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1", "gbk", "gb18030"})
_CUSTOM_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DATA_URI_HEADER = re.compile(r"data:[^,]*;base64")

# Everything that aiohttp raises for a body that does not match its headers.
MALFORMED = (
    web.RequestPayloadError,
    HttpProcessingError,
    AssertionError,
    LookupError,  # a charset that does not exist
    RuntimeError,
    ValueError,
    Warning,  # where warnings are errors, as in many test suites
)

_TOO_LARGE = error_answer(413, 20045, "The audio is too large.")
_NOT_BASE64 = error_answer(400, 20049, "The audio must be a data URI with base64.")
_BOTH_GIVEN = error_answer(400, 20053, "Send either file or audio, not both.")


@frozen
class Recording:
    """The size and digest of the audio."""

    size: int
    """Bytes."""
    sha256: str
    data: bytes | None = field(default=None, repr=False)
    """The audio itself, where it is to be kept."""


@frozen
class Submission:
    """The fields of an upload as they came, not yet checked."""

    fields: Mapping[str, object]
    recording: Recording | Answer | None = None
    """The audio, or the answer that refuses it; None if there was no audio."""

    @property
    def model(self) -> str:
        """The model whose quota it counts against; empty if it names no model."""
        return _text(self.fields.get("model"))

    @property
    def tokens(self) -> int:
        """The tokens that it costs: one for each character of ``text``, by the emulator's own assumption."""
        return len(_text(self.fields.get("text")))


@frozen
class Upload:
    """An upload that passed all checks."""

    model: str
    custom_name: str
    text: str
    recording: Recording


async def read_submission(
    request: web.Request, *, max_audio_bytes: int, keep_audio: bool
) -> Submission | Answer:
    """Read the body to its end.

    A ``file`` part is hashed as it comes, in constant memory unless its audio is to be kept; the two forms
    with a data URI are read whole.

    Returns:
        The answer 400 with code 20015 if the body can't be understood.
    """
    match request.content_type:
        case "multipart/form-data":
            reading = _read_multipart
        case "application/json":
            reading = _read_json
        case other:
            return error_answer(400, 20015, f"Content-Type {other} is not supported.")
    try:
        return await reading(request, max_audio_bytes, keep_audio=keep_audio)
    except MALFORMED as error:
        return error_answer(400, 20015, f"The body is malformed: {type(error).__name__}.")


def check_submission(submission: Submission, models: Collection[str]) -> Upload | Answer:
    """Check model, customName, text and audio, in this order; return the first refusal, or the upload."""
    fields = submission.fields
    custom_name, text = _text(fields.get("customName")), _text(fields.get("text"))
    if not submission.model:
        return error_answer(400, 20012, "The model is required.")
    if submission.model not in models:
        return error_answer(400, 20012, "Model does not exist. Please check it carefully.")
    if not _CUSTOM_NAME.fullmatch(custom_name):
        return error_answer(400, 20048, "customName must be 1 to 64 letters, digits, _ and -.")
    if not text:
        return error_answer(400, 20015, "The text is required.")
    match submission.recording:
        case None:
            return error_answer(400, 20046, "The reference audio is required.")
        case Answer() as refusal:
            return refusal
        case Recording(size=0):
            return error_answer(400, 20044, "The audio is invalid.")
        case recording:
            return Upload(submission.model, custom_name, text, recording)


async def _read_json(request: web.Request, max_audio_bytes: int, *, keep_audio: bool) -> Submission:
    document: object = json.loads(await request.read())
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - malformed, like what json itself raises
    fields = cast("dict[str, object]", document)
    audio = fields.get("audio")
    recording = None if audio is None else _decode(_text(audio), max_audio_bytes, keep=keep_audio)
    return Submission(fields, recording)


async def _read_multipart(request: web.Request, max_audio_bytes: int, *, keep_audio: bool) -> Submission:
    fields: dict[str, object] = {}
    file: Recording | Answer | None = None
    audio: Recording | Answer | None = None
    reader = await request.multipart()
    parts = 0
    while (part := await reader.next()) is not None:
        parts += 1
        if parts > _MOST_PARTS:
            raise ValueError("too many parts")
        if not isinstance(part, BodyPartReader):
            raise ValueError("multipart within multipart")  # noqa: TRY004 - likewise
        match part.name:
            case "file":
                file = await _hash(part, max_audio_bytes, keep=keep_audio)
            case "audio":
                limit = max_audio_bytes * 4 // 3 + _DATA_URI_HEADER_BYTES
                data = await _read(part, limit)
                audio = (
                    _TOO_LARGE
                    if len(data) > limit
                    else _decode(data.decode(), max_audio_bytes, keep=keep_audio)
                )
            case "model" | "customName" | "text":
                data = await _read(part, _TEXT_FIELD_BYTES)
                if len(data) > _TEXT_FIELD_BYTES:
                    raise ValueError("a text that is too long")
                fields[part.name] = data.decode(_charset(part))
            case _:
                pass  # what it does not know, the service ignores
    return Submission(fields, _BOTH_GIVEN if file and audio else file or audio)


def _charset(part: BodyPartReader) -> str:
    charset = part.get_charset("utf-8")
    if charset.lower() not in _CHARSETS:
        raise ValueError("a charset that is not supported")
    return charset


async def _hash(part: BodyPartReader, max_audio_bytes: int, *, keep: bool) -> Recording | Answer:
    digest, size, data = hashlib.sha256(), 0, bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        size += len(chunk)
        digest.update(chunk)
        if keep and size <= max_audio_bytes:
            data += chunk
    if size > max_audio_bytes:
        return _TOO_LARGE
    return Recording(size, digest.hexdigest(), bytes(data) if keep else None)


async def _read(part: BodyPartReader, limit: int) -> bytes:
    """Read the part to its end, but keep at most ``limit`` + 1 bytes: enough to see that it is longer."""
    data = bytearray()
    while chunk := await part.read_chunk(CHUNK_BYTES):
        data += chunk[: limit + 1 - len(data)]
    return bytes(data)


def _decode(audio: str, max_audio_bytes: int, *, keep: bool) -> Recording | Answer:
    header, _, encoded = audio.partition(",")
    if not _DATA_URI_HEADER.fullmatch(header):
        return _NOT_BASE64
    try:
        data = pybase64.b64decode(encoded, validate=True)
    except ValueError:
        return _NOT_BASE64
    if len(data) > max_audio_bytes:
        return _TOO_LARGE
    return Recording(len(data), hashlib.sha256(data).hexdigest(), data if keep else None)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
