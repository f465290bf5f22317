"""An upload as an operation: its audio, its progress, and the search for its voice after a lost answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Protocol, TypeAlias

from attrs import define

from siliconflow_voice.api.answers import Answer
from siliconflow_voice.api.responses import parse_uri
from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.calls.history import guarded
from siliconflow_voice.calls.operation import Failed, Operation, Outcome, Success
from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Failure, Voice
from siliconflow_voice.uploads.recovery import ListVoicesUntil, Recovery

__all__ = ["AttemptGuard", "Progress", "Search", "Upload", "parse_voice"]

Progress: TypeAlias = Callable[[int, "int | None"], object]


class AttemptGuard(Protocol):
    """Called before and after each attempt of an upload."""

    async def begins(self) -> None:
        """Called before the first byte of an attempt. What this raises ends the upload."""

    def ended(self) -> None:
        """Called when the attempt is over, its search included."""


@define(eq=False)
class Search:
    """How an upload looks for its voice after a lost answer."""

    list_voices: ListVoicesUntil
    deadline: Deadline
    settling: float
    """Seconds to wait first: how soon the list shows a new voice is not known."""
    known: bool
    """Whether a listing before the upload succeeded."""


@define(eq=False, kw_only=True)
class Upload(Operation[Voice]):
    """The upload of one recording, to become the voice *wanted*."""

    wanted: Voice
    reading: Reading
    known: Recovery
    resend_unknown: bool
    """Whether to send it again when its outcome is unknown."""
    progress: Progress | None
    searching: Search | None
    guard: AttemptGuard | None

    @property
    def replayable(self) -> bool:
        return self.reading.can_replay

    @property
    def repeatable(self) -> bool:
        return self.resend_unknown

    def blocks(self) -> AsyncGenerator[Block, None]:
        most = self.reading.most
        return self.reading.blocks() if most is None else self.reading.bounded(most)

    def sent(self, audio: int) -> None:
        if self.progress is not None:
            guarded(self.progress, audio, self.size)

    def waits(self) -> None:
        self.reading.wait()

    async def begins(self) -> None:
        if self.guard is not None:
            await self.guard.begins()

    def ended(self) -> None:
        if self.guard is not None:
            self.guard.ended()

    async def search(self, unknown: Failed) -> Outcome[Voice]:
        if self.searching is None:
            return unknown
        found = await self._find(self.searching)
        if found is None:
            return Failed(unknown.error, Failure.NOT_SENT)
        if isinstance(found, AmbiguousUploadError):
            found.__cause__ = unknown.error
            return Failed(found, Failure.UNKNOWN)
        return Success(found)

    def lost(self) -> None:
        self.known.lose(self.wanted)

    async def _find(self, search: Search) -> Voice | AmbiguousUploadError | None:
        if not search.known:
            return AmbiguousUploadError(
                "The upload's answer was lost, and its voice can't be looked up, since listing the account "
                "before the upload had failed"
            )
        await asyncio.sleep(search.settling)
        return await self.known.find(self.wanted, search.list_voices, until=search.deadline.at)


def parse_voice(wanted: Voice, answer: Answer) -> Voice | SiliconFlowError:
    """Return the voice that the answer to an upload of *wanted* names, or the error that it stands for."""
    uri = parse_uri(answer)
    if isinstance(uri, SiliconFlowError):
        return uri
    return Voice(uri, wanted.model, wanted.custom_name, wanted.text)
