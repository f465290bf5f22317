"""What must come of a fault, by the rules that the documentation gives."""

from __future__ import annotations

import enum
import re
from typing import Literal, TypeAlias, get_args

from attrs import frozen

from siliconflow_voice import AmbiguousUploadError, Failure, SiliconFlowError, SourceConsumedError
from siliconflow_voice.api.requests import Encoding
from support.faults.stage import Act, Lookup, Moment

Source: TypeAlias = Literal["path", "bytes", "file", "stream"]
SOURCES: tuple[Source, ...] = get_args(Source)
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)

CONNECT, HANDSHAKE, ACCEPT, BODY, AFTER, HEADERS, ANSWER = Moment
HANDED_OVER = {AFTER, HEADERS, ANSWER}


class Kind(enum.Enum):
    """What a fault is to whoever waits for the voice."""

    HARMLESS = enum.auto()
    NO_ANSWER = enum.auto()
    FAILED = enum.auto()
    """5xx but for 503."""
    SLOW_DOWN = enum.auto()
    """429 but for a daily one, 503, a code that says busy."""
    NOT_READ = enum.auto()
    """408."""
    BROKEN_PROMISE = enum.auto()
    """A 2xx without a voice."""
    NO = enum.auto()
    """Anything else."""


# The class of each: before all of the body was handed over, and after.
CLASSES: dict[Kind, tuple[Failure | None, Failure | None]] = {
    Kind.HARMLESS: (None, None),
    Kind.NO_ANSWER: (Failure.NOT_SENT, Failure.UNKNOWN),
    Kind.FAILED: (Failure.NOT_SENT, Failure.UNKNOWN),
    Kind.SLOW_DOWN: (Failure.REFUSED, Failure.REFUSED),
    Kind.NOT_READ: (Failure.NOT_SENT, Failure.NOT_SENT),
    Kind.BROKEN_PROMISE: (Failure.UNKNOWN, Failure.UNKNOWN),
    Kind.NO: (Failure.FINAL, Failure.FINAL),
}

# What the caller is told besides what an attempt has met, where that is wrapped.
WRAPPED: dict[type[SiliconFlowError], str] = {
    AmbiguousUploadError: "answer was lost… list_voices()",
    SourceConsumedError: "can't be read again… Pass a path, bytes or a seekable file",
}


@frozen
class Outcome:
    """What came of a call whose first attempt met a fault."""

    met: type[SiliconFlowError] | None
    failure: Failure | None
    attempts: int
    raised: type[SiliconFlowError] | None
    """None where there is a voice."""


@frozen
class Fault:
    """One way to break an exchange."""

    name: str
    moments: tuple[Moment, ...]
    kind: Kind
    met: type[SiliconFlowError] | None
    says: str
    """The telling words of the error's message; "…" stands for any text. Empty for what is harmless alone."""
    act: Act
    lookup: Lookup | None = None
    """Played where the server's name is looked up, instead of by the server."""
    certificate: str = ""
    """Which of the certificates the server shows."""


def is_said(words: str, message: str) -> bool:
    """Return whether a message has these words; "…" stands for any text between them."""
    return re.search(".*".join(map(re.escape, words.split("…"))), message) is not None


@frozen
class Case:
    """A fault that an upload meets."""

    fault: Fault
    moment: Moment
    encoding: Encoding
    source: Source

    def __str__(self) -> str:
        return f"{self.moment.name.lower()}-{self.fault.name}-{self.encoding}-{self.source}"

    def expected(self) -> Outcome:
        met, failure = self.fault.met, CLASSES[self.fault.kind][self.moment in HANDED_OVER]
        begun = self.moment not in {CONNECT, HANDSHAKE}
        match failure:
            case None:
                return Outcome(None, None, 1, None)
            case Failure.FINAL:
                return Outcome(met, failure, 1, met)
            case Failure.UNKNOWN:
                return Outcome(met, failure, 1, AmbiguousUploadError)
            case _ if self.source == "stream" and begun:
                return Outcome(met, failure, 1, SourceConsumedError)
            case _:
                return Outcome(met, failure, 2, None)
