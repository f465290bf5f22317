"""Builds the API's requests: what goes before and after the audio, and nothing of how it is sent."""

from __future__ import annotations

import json
import secrets
from typing import Literal, TypeAlias

from attrs import frozen

__all__ = [
    "DEFAULT_MODEL",
    "Encoding",
    "Envelope",
    "Request",
    "delete_voice",
    "list_voices",
    "multipart",
    "upload_voice",
]

DEFAULT_MODEL = "FunAudioLLM/CosyVoice2-0.5B"
"""The model that takes voices, and speaks with them, on both of the vendor's clouds."""

Encoding: TypeAlias = Literal["multipart", "base64"]

_ANSWER = 1 << 20


@frozen
class Envelope:
    """The bytes around the audio, in one of the encodings."""

    content_type: str
    prologue: bytes
    epilogue: bytes = b""
    base64: bool = False
    """Whether the audio between them goes as base64."""

    def size(self, audio: int | None) -> int | None:
        """Bytes of the whole body around *audio* bytes; None if that is None."""
        if audio is None:
            return None
        return len(self.prologue) + (-(-audio // 3) * 4 if self.base64 else audio) + len(self.epilogue)


@frozen
class Request:
    """One request of the API."""

    operation: str
    """The client's method, for events and messages."""
    method: Literal["GET", "POST"]
    path: str
    """Below the base address."""
    query: str = ""
    """Behind the question mark."""
    model: str = ""
    """Whose quota it draws on; what is counted apart from a model's uploads has a suffix."""
    tokens: float = 0.0
    """What it may cost of that quota: an estimate, as the vendor publishes no price."""
    envelope: Envelope | None = None
    further: tuple[Envelope, ...] = ()
    """What follows in the body, each around audio of its own."""
    repeatable: bool = True
    """Whether sending it twice does no more than sending it once."""
    max_answer: int = _ANSWER
    """Bytes; a longer answer is invalid."""


def upload_voice(
    *, model: str, custom_name: str, text: str, encoding: Encoding, media_type: str, extension: str
) -> Request:
    """``POST /uploads/audio/voice``: the texts first, so that a server may refuse before it has the audio."""
    fields = {"model": model, "customName": custom_name, "text": text}
    if encoding == "base64":
        envelope = _json_envelope(fields, media_type)
    else:
        # An ASCII name of our own: a user's may be Chinese, which servers decode each in their own way.
        filename = f"audio.{extension}"
        envelope = multipart(fields, filename, media_type)
    return Request(
        "upload_voice",
        "POST",
        "uploads/audio/voice",
        model=model,
        tokens=float(max(len(text), 1)),
        envelope=envelope,
        repeatable=False,
    )


def list_voices(most: int) -> Request:
    """``GET /audio/voice/list``, whose answer may have so many bytes: it has no pages."""
    return Request("list_voices", "GET", "audio/voice/list", max_answer=most)


def delete_voice(uri: str) -> Request:
    """``POST /audio/voice/deletions``."""
    body = json.dumps({"uri": uri}).encode()
    return Request(
        "delete_voice", "POST", "audio/voice/deletions", envelope=Envelope("application/json", body)
    )


def multipart(fields: dict[str, str], filename: str, media_type: str) -> Envelope:
    """Return the envelope of a form with some texts, and the audio as ``file``."""
    boundary = secrets.token_hex(16)
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    parts.append(
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{filename}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    )
    return Envelope(
        f"multipart/form-data; boundary={boundary}",
        "".join(parts).encode(),
        f"\r\n--{boundary}--\r\n".encode(),
    )


def _json_envelope(fields: dict[str, str], media_type: str) -> Envelope:
    texts = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    prologue = f'{texts[:-1]},"audio":"data:{media_type};base64,'
    return Envelope("application/json", prologue.encode(), b'"}', base64=True)
