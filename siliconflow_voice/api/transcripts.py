"""Reads transcripts and lists of models: to values, or to the errors that the answers stand for."""

from __future__ import annotations

import math
from typing import Any, cast

from siliconflow_voice.api.answers import Answer
from siliconflow_voice.api.responses import document_of, invalid
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Segment, Transcript

__all__ = ["parse_models", "parse_transcript"]


def parse_transcript(answer: Answer) -> Transcript | SiliconFlowError:
    """Return a transcript, of which only the text is promised; an empty one is an answer."""
    match document_of(answer):
        case SiliconFlowError() as error:
            return error
        case {"text": str(text), **rest}:
            return Transcript(
                text=text,
                language=_text(rest.get("language")),
                duration=_number(rest.get("duration")),
                segments=_segments(rest.get("segments")),
                usage=_usage(rest.get("usage")),
                trace_id=answer.trace_id,
            )
        case _:
            return invalid(answer, "a transcript was answered without a text")


def parse_models(answer: Answer) -> list[str] | SiliconFlowError:
    """Return the ids of a list of models; another shape is an error, never an empty list."""
    match document_of(answer):
        case SiliconFlowError() as error:
            return error
        case {"data": [*entries]}:
            ids = [_id(entry) for entry in entries]
            if None not in ids:
                return [name for name in ids if name is not None]
        case _:
            pass
    return invalid(answer, "the list of models has an unknown shape")


def _id(entry: Any) -> str | None:
    match entry:
        case {"id": str(name)}:
            return name
        case _:
            return None


def _segments(segments: Any) -> tuple[Segment, ...] | None:
    match segments:
        case [*entries]:
            found = (_segment(entry) for entry in entries)
            return tuple(segment for segment in found if segment is not None)
        case _:
            return None


def _segment(entry: Any) -> Segment | None:
    match entry:
        case {"text": str(text), **rest}:
            start, end = _number(rest.get("start")), _number(rest.get("end"))
            return Segment(start, end, text, _text(rest.get("speaker")))
        case _:
            return None


def _usage(usage: Any) -> dict[str, Any] | None:
    return cast("dict[str, Any]", usage) if isinstance(usage, dict) else None


def _text(value: Any) -> str | None:
    """Return a label, which may come as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    return None
