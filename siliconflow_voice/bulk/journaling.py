"""A run's use of its journal: whether an upload has its voice already, and one of a kind at a time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from attrs import define, field

from siliconflow_voice.bulk.alone import OneAtATime
from siliconflow_voice.bulk.resume import Resumption
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.errors import AmbiguousUploadError, SiliconFlowError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.recovery import Recovery
from siliconflow_voice.uploads.uploader import OpenUpload
from siliconflow_voice.uploads.values import Status, VoiceUpload

__all__ = ["ClaimLostError", "Journaling", "RunJournal", "entry_of"]


class ClaimLostError(SiliconFlowError):
    """Another run has taken an upload over, since this one could not prove in time that it lives."""


class RunJournal(Protocol):
    """What the workers of a run ask of its journal. Each may raise a :class:`JournalError`."""

    def is_under_way(self, entry: Entry) -> bool:
        """Return whether another upload of the same is under way in this process."""
        ...

    def alone(self, entry: Entry) -> AbstractAsyncContextManager[None]:
        """Return a scope in which no other upload of the same is under way in this process."""
        ...

    async def known(self, entry: Entry, waits: Callable[[], object]) -> tuple[Status, Voice] | None:
        """Return the voice that was made of it before, or None if it is this run's to send.

        Raises:
            AmbiguousUploadError: It may have one.
        """
        ...

    def recovery(self, entry: Entry) -> Recovery | None:
        """Return what looks for its voice if its answer is lost; None for what the client has."""
        ...

    async def begins(self, entry: Entry, *, first: bool) -> None:
        """Record that an attempt is about to begin; if this raises, nothing must be sent.

        Raises:
            ClaimLostError: It is not this run's any more.
        """
        ...

    async def done(self, entry: Entry, voice: Voice) -> None:
        """Record its voice."""
        ...

    async def failed(self, entry: Entry, error: SiliconFlowError) -> None:
        """Record that it failed."""
        ...


@define(eq=False)
class Journaling:
    """A journal that is this run's alone: what was unknown was looked up as the run began."""

    journal: SQLiteJournal
    _resumption: Resumption
    _one_at_a_time: OneAtATime = field(factory=OneAtATime, init=False)

    def is_under_way(self, entry: Entry) -> bool:
        return entry.key in self._one_at_a_time

    def alone(self, entry: Entry) -> AbstractAsyncContextManager[None]:
        return self._one_at_a_time.alone(entry.key)

    async def known(self, entry: Entry, waits: Callable[[], object]) -> tuple[Status, Voice] | None:  # noqa: ARG002 - there is no other run to wait for
        record = await self.journal.find(entry)
        if record is not None and record.state == "unknown":
            raise self._ambiguous(entry)
        if record is None or record.uri is None:
            return None
        voice = Voice(
            record.uri, entry.model, entry.custom_name, entry.text, recovered=record.state == "recovered"
        )
        # What was found as the run began is its news, once.
        status: Status = "recovered" if self._resumption.found.pop(entry.key, None) else "skipped"
        return status, voice

    def recovery(self, entry: Entry) -> Recovery | None:  # noqa: ARG002 - the client knows all of the account
        return None

    async def begins(self, entry: Entry, *, first: bool) -> None:
        if first:
            await self.journal.intend(entry)

    async def done(self, entry: Entry, voice: Voice) -> None:
        await self.journal.done(entry, voice)

    async def failed(self, entry: Entry, error: SiliconFlowError) -> None:
        await self.journal.failed(entry, error)

    def _ambiguous(self, entry: Entry) -> AmbiguousUploadError:
        candidates = self._resumption.ambiguous.get(entry.key, ())
        found = (
            f"{len(candidates)} of the account's voices could be its own or another upload's"
            if candidates
            else "the next run will look for its voice"
        )
        return AmbiguousUploadError(
            f"An earlier attempt sent this upload and never learned the result; {found}",
            candidates=candidates,
        )


def entry_of(upload: VoiceUpload, opened: OpenUpload) -> Entry:
    """Return what the journal knows an upload by, whose audio was read for its digest."""
    # A path's name may have bytes in it that are not text.
    audio = opened.filename.encode("utf-8", "replace").decode()
    return Entry(audio, str(opened.facts.sha256), upload.model, upload.custom_name, upload.text)
