"""Builds the requests for speech, transcripts and models: what goes around the audio, and nothing of how."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from attrs import frozen

from siliconflow_voice.api.requests import Envelope, Request, multipart

__all__ = ["TRANSCRIBING_MODEL", "ModelKind", "ReferenceFacts", "list_models", "stream_speech", "transcribe"]

TRANSCRIBING_MODEL = "FunAudioLLM/SenseVoiceSmall"
"""The usual model that transcribes; it is free."""

ModelKind: TypeAlias = Literal["text-to-speech", "speech-to-text"]

# An hour, word for word and speaker by speaker, is some hundred kilobytes.
_TRANSCRIPT = 16 << 20


@frozen
class ReferenceFacts:
    """What a request says of a reference recording beside its audio."""

    text: str
    media_type: str


def stream_speech(fields: dict[str, Any], references: Sequence[ReferenceFacts]) -> Request:
    """``POST /audio/speech``.

    Speech is counted apart from uploads: by the bytes of its text in UTF-8, which are what it is charged by.
    """
    texts = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    envelopes = _around(texts, references) if references else [Envelope("application/json", texts.encode())]
    first, *further = envelopes
    return Request(
        "stream_speech",
        "POST",
        "audio/speech",
        model=f"{fields['model']}:speech",
        tokens=float(max(len(fields["input"].encode()), 1)),
        envelope=first,
        further=tuple(further),
    )


def _around(texts: str, references: Sequence[ReferenceFacts]) -> list[Envelope]:
    """Return an envelope for each reference's audio, which together are one JSON document."""
    before, envelopes = f'{texts[:-1]},"references":[', list[Envelope]()
    for index, reference in enumerate(references):
        text = json.dumps(reference.text, ensure_ascii=False)
        prologue = f'{before}{{"text":{text},"audio":"data:{reference.media_type};base64,'
        epilogue = '"}]}' if index == len(references) - 1 else '"},'
        envelopes.append(Envelope("application/json", prologue.encode(), epilogue.encode(), base64=True))
        before = ""
    return envelopes


def transcribe(model: str, media_type: str, extension: str) -> Request:
    """``POST /audio/transcriptions``; to transcribe twice does no more than to do it once."""
    return Request(
        "transcribe",
        "POST",
        "audio/transcriptions",
        model=model,
        envelope=multipart({"model": model}, f"audio.{extension}", media_type),
        max_answer=_TRANSCRIPT,
    )


def list_models(kind: ModelKind) -> Request:
    """``GET /models``."""
    return Request("list_models", "GET", "models", query=f"sub_type={kind}")
