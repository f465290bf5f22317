"""The values that the SDK hands out: frozen, picklable, free of I/O."""

from __future__ import annotations

import enum

from attrs import field, frozen

__all__ = ["Attempt", "Failure", "Voice"]


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
