"""The values that the SDK hands out: frozen, picklable, free of I/O."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

__all__ = ["Attempt", "Failure", "Segment", "Transcript", "Voice"]

# Marks of SenseVoice, such as <|HAPPY|>; emojis, with what joins and colours them.
_MARKS = re.compile(
    r"<\|[^|<>]{0,40}\|>|[\u20e3\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\u200d"
    r"\U0001f000-\U0001faff\U000e0020-\U000e007f]"
)


class Failure(enum.Enum):
    """What a failed attempt means for the voice that it was to make."""

    NOT_SENT = "not sent"
    """Nothing was stored, and a retry is safe: the request's body was not handed over whole, or the voice was
    looked for afterwards and is not in the account's list."""
    REFUSED = "refused"
    """The service said to slow down (429 per minute or hour, 503): back off, then retry.

    That a refused request stores nothing is an assumption, from the wording of the answers.
    """
    UNKNOWN = "unknown"
    """The body was handed over and no valid answer came: the voice may or may not exist."""
    FINAL = "final"
    """Another attempt would fail the same way."""


@frozen
class Attempt:
    """One attempt of a call, as the history of errors and voices has it."""

    number: int
    """Counted from 1."""
    waited: float
    """Seconds of waiting before it: back-off and throttle together."""
    seconds: float
    """Seconds that it took, from the first byte to the answer or the failure."""
    status: int | None = None
    """The HTTP status, or None where no answer came."""
    code: int | None = None
    """SiliconFlow's own error code, where the answer had one."""
    cause: str | None = None
    """What went wrong, in one line; None if it succeeded."""
    failure: Failure | None = None
    """The failure's class; None if the attempt succeeded."""
    trace_id: str | None = None
    """``x-siliconcloud-trace-id`` of the answer: quote it to SiliconFlow's support."""


@frozen
class Voice:
    """A voice of the account. Two voices are equal if uri, model, name and text are equal."""

    uri: str
    """The ``voice`` parameter of speech synthesis: ``speech:<custom_name>:<account>:<random>``."""
    model: str
    custom_name: str
    text: str
    """The transcript that was uploaded with the recording."""
    recovered: bool = field(default=False, eq=False)
    """True if the upload's answer was lost and the voice was found in the account's list."""
    attempts: tuple[Attempt, ...] = field(default=(), eq=False, repr=False)
    """The history of the call that made it; empty for a listed voice."""
    trace_id: str | None = field(default=None, eq=False, repr=False)
    """``x-siliconcloud-trace-id`` of the answer that named the uri; None for a listed voice."""


@frozen
class Segment:
    """A part of a transcript, as models that tell speakers apart return it."""

    start: float | None
    """Seconds from the beginning of the recording."""
    end: float | None
    """Seconds from the beginning of the recording."""
    text: str
    speaker: str | None
    """The speaker's label, such as ``"1"``."""


@frozen
class Transcript:
    """What is spoken in a recording; ``str()`` of it is the text. What a model doesn't return is None."""

    text: str
    """As it came: SenseVoice adds emojis and marks, and models that tell speakers apart begin each line with
    a speaker's label and a colon. Empty if nothing was heard."""
    language: str | None = None
    """The language's name, such as ``"Chinese"``."""
    duration: float | None = None
    """Seconds of the recording."""
    segments: tuple[Segment, ...] | None = None
    usage: Mapping[str, Any] | None = field(default=None, eq=False)
    """What was charged, as it came: ``{"type": "duration", "seconds": 3}``."""
    trace_id: str | None = field(default=None, eq=False, repr=False)
    """``x-siliconcloud-trace-id`` of the answer: quote it to SiliconFlow's support."""

    def __str__(self) -> str:
        return self.text

    @property
    def plain(self) -> str:
        """The text without emojis, symbols and ``<|…|>`` marks, and without the space that they leave."""
        return re.sub(" {2,}", " ", _MARKS.sub("", self.text)).strip()
