"""Reads the API's answers: to values, or to the errors that they stand for.

Nothing is raised here: a parser returns an error as it returns a value.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from siliconflow_voice.api.answers import Answer, shown
from siliconflow_voice.api.refusals import is_refusal, refusal
from siliconflow_voice.api.voicelist import LISTS, VoiceList
from siliconflow_voice.errors import InvalidResponseError, SiliconFlowError

__all__ = ["document_of", "invalid", "parse_no_audio", "parse_nothing", "parse_uri", "parse_voices"]

_URI = re.compile(r"speech:[\x21-\x7e]+")


def parse_uri(answer: Answer) -> str | SiliconFlowError:
    """Return the uri of an uploaded voice, or the error that the answer is.

    A 2xx without a uri is an :exc:`InvalidResponseError`.
    """
    match document_of(answer):
        case SiliconFlowError() as error:
            return error
        case {"uri": str(uri)} if _URI.fullmatch(uri):
            return answer.redact(uri)
        case _:
            return invalid(answer, "an upload was answered without a speech: uri")


def parse_voices(answer: Answer, voices: VoiceList) -> SiliconFlowError | None:
    """Read the account's voices, in any of the wrappings that the API was seen to use.

    Args:
        answer: Whole, unless *voices* was fed with it as it came.
        voices: Accepts them.

    Returns:
        None, or the error that the answer is. A 2xx without a list of voices is an
        :exc:`InvalidResponseError`, never an empty list.
    """
    if not answer.streamed:
        document: Any = document_of(answer)
        if isinstance(document, SiliconFlowError):
            return document
        entries = _list_in(document)
        if entries is None:
            return invalid(answer, "the list of voices has an unknown shape")
        for entry in entries:
            voices.take(entry)
    return None if voices.wrong is None else invalid(answer, voices.wrong)


def parse_nothing(answer: Answer) -> SiliconFlowError | None:
    """Return None for any 2xx, or the error that the status stands for."""
    return None if answer.is_success else refusal(answer)


def parse_no_audio(answer: Answer) -> SiliconFlowError:
    """Return the error that an answer is which came in place of audio, whatever its status."""
    if not answer.is_success:
        return refusal(answer)
    if not answer.raw:
        return invalid(answer, "speech was answered without audio")
    try:
        document = json.loads(answer.raw)
    except (ValueError, RecursionError):
        document = None
    return refusal(answer) if is_refusal(document) else invalid(answer, "speech was answered with text")


def invalid(answer: Answer, reason: str) -> InvalidResponseError:
    """Return the error of a success that is not what the API promises."""
    text = answer.text()
    return InvalidResponseError(
        f"HTTP {answer.status}, but {reason}: {shown(text) or 'nothing in the body'}",
        status=answer.status,
        trace_id=answer.trace_id,
        body=text,
    )


def document_of(answer: Answer) -> Any:
    """Return a success's JSON, or the error that the answer is."""
    if not answer.is_success:
        return refusal(answer)
    if answer.overlong:
        return invalid(answer, f"the answer has more than {answer.limit:,} bytes")
    try:
        document = json.loads(answer.raw)
    except (ValueError, RecursionError):
        return invalid(answer, "the answer is not JSON")
    return refusal(answer) if is_refusal(document) else document


def _list_in(document: Any) -> list[Any] | None:
    for _ in range(2):  # {"data": {"result": […]}} is the deepest
        if not isinstance(document, dict):
            break
        wrapping = cast("dict[str, Any]", document)
        present = [key for key in LISTS if key in wrapping]
        if not present:
            return None
        filled = [key for key in present if wrapping[key] is not None]
        # null in place of the list is how a Go server writes an empty one.
        document = wrapping[filled[0]] if filled else []
    return document if isinstance(document, list) else None  # pyright: ignore[reportUnknownVariableType] - JSON
