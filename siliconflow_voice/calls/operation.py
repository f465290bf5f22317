"""What a call is about, and what its attempts come to: values, until the end of the call."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import ClassVar, Generic, TypeAlias, TypeVar

from attrs import define, frozen

from siliconflow_voice.api.answers import Answer
from siliconflow_voice.api.requests import Request
from siliconflow_voice.api.voicelist import VoiceList
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.models import Attempt, Failure
from siliconflow_voice.transport.channel import Channel
from siliconflow_voice.transport.payload import RequestPayload, Transfer

__all__ = ["Failed", "Operation", "Outcome", "Success"]

T = TypeVar("T")


@frozen
class Success(Generic[T]):
    """An attempt that succeeded."""

    value: T
    status: int | None = None
    """The HTTP status of the answer; None if the value was found in the account's list."""
    trace_id: str | None = None
    attempts: tuple[Attempt, ...] = ()
    """The history of the call, once it is over."""


@frozen
class Failed:
    """An attempt that failed."""

    error: SiliconFlowError
    failure: Failure
    over: bool = False
    """Whether there is no time for another attempt."""


Outcome: TypeAlias = "Success[T] | Failed"


@define(eq=False)
class Operation(Generic[T]):
    """What a call is about: one request, however many attempts it takes.

    This class has no audio and may be repeated; an upload overrides both.
    """

    request: Request
    parse: Callable[[Answer], T | SiliconFlowError]
    """Returns the value that an answer has, or the error that it stands for."""
    subject: str
    """The ``custom_name`` or the uri, for events and logs."""
    size: int | None = 0
    """Bytes of audio, or None for a stream."""

    lasts: ClassVar[bool] = False
    """Whether the call goes on after an attempt has succeeded, until its value is used up."""

    @property
    def replayable(self) -> bool:
        """Whether the body can be read from the start again."""
        return True

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again when the outcome of the last attempt is unknown."""
        return self.request.repeatable

    def payload(self, transfer: Transfer) -> RequestPayload | None:
        """Return a fresh body for one attempt."""
        envelope = self.request.envelope
        return None if envelope is None else RequestPayload(envelope, self.blocks(), self.size, transfer)

    def blocks(self) -> AsyncGenerator[Block, None] | None:
        """Return the audio from its start, or None if there is none."""
        return None

    async def exchange(
        self, channel: Channel, transfer: Transfer, until: float | None
    ) -> Success[T] | SiliconFlowError:
        """Send the request once, by the loop's time *until*; return what came of it, or the error."""
        answer = await channel.send(self.request, self.payload(transfer), transfer, until, self.voices())
        if isinstance(answer, SiliconFlowError):
            return answer
        value = self.parse(answer)
        if isinstance(value, SiliconFlowError):
            return value
        return Success(value, answer.status, answer.trace_id)

    def voices(self) -> VoiceList | None:
        """Return what accepts the voices of a list in this attempt, or None if it is not a list."""
        return None

    def sent(self, audio: int) -> None:
        """Called with the bytes of audio handed over so far."""

    def waits(self) -> None:
        """Called before a long wait: release memory."""

    async def begins(self) -> None:
        """Called before the first byte of an attempt; what this raises ends the call."""

    def ended(self) -> None:
        """Called when an attempt is over, its search included."""

    async def search(self, unknown: Failed) -> Outcome[T]:
        """Return the outcome of an attempt whose answer was lost; *unknown* itself if it can't be found."""
        return unknown

    def goes_on(self, end: Callable[[SiliconFlowError | None], None]) -> None:
        """Called when a call that lasts has succeeded, with what is to be called at its end."""

    def lost(self) -> None:
        """Called at the end of a call whose outcome is still unknown."""
