"""What a call is about, and what its attempts come to: values, until the end of the call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Generic, TypeAlias, TypeVar

from attrs import define, frozen

from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.responses import Answer
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Attempt, Failure
from siliconflow_voice.transport.payload import RequestPayload, Transfer

__all__ = ["Failed", "Operation", "Outcome", "Success"]

T = TypeVar("T")


@frozen
class Success(Generic[T]):
    """What was asked for."""

    value: T
    status: int | None = None
    """Of the answer that it was read from; None if it was found otherwise."""
    trace_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """The history of the call, once that is over."""


@frozen
class Failed:
    """An attempt that went wrong."""

    error: SiliconFlowError
    failure: Failure
    over: bool = False
    """Whether there is no time for another."""


Outcome: TypeAlias = "Success[T] | Failed"


@define(eq=False)
class Operation(Generic[T]):
    """One thing to be done by a request, however many attempts it takes.

    As it stands, it has no audio and may be repeated; an upload is the kind that overrides the rest.
    """

    request: Request
    parse: Callable[[Answer], T | SiliconFlowError]
    """Reads an answer: to the value, or to the error that it is."""
    subject: str
    """What it is about, for events and logs: the ``custom_name``, or the uri."""
    size: int | None = 0
    """Bytes of audio, or None for a stream."""

    @property
    def replayable(self) -> bool:
        """Whether its body can be read from the start."""
        return True

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when nobody knows what became of the last attempt."""
        return self.request.repeatable

    def payload(self, transfer: Transfer) -> RequestPayload | None:
        """Return the body, fresh for an attempt."""
        envelope = self.request.envelope
        return None if envelope is None else RequestPayload(envelope, self.blocks(), self.size, transfer)

    def blocks(self) -> AsyncGenerator[Block, None] | None:
        """Return the audio from its start, or None if there is none."""
        return None

    def sent(self, audio: int) -> None:
        """Called with the bytes of audio that were handed over so far."""

    def waits(self) -> None:
        """Called before a long wait: release memory."""

    async def begins(self) -> None:
        """Called when an attempt has its turn, before its first byte; what this raises ends the call."""

    def ended(self) -> None:
        """Called when an attempt is over, and so is the search for what it may have stored."""

    async def search(self, unknown: Failed) -> Outcome[T]:
        """Return what became of an attempt whose outcome is unknown; the same if that can't be told."""
        return unknown

    def lost(self) -> None:
        """Called at the end if what was sent may have been stored, and no search has told."""
