"""What a run reads from its journal, and writes into it, about one upload."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from attrs import define, field

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.resume import Resumption
from siliconflow_voice.bulk.store import Entry, Store
from siliconflow_voice.errors import AmbiguousUploadError, APIStatusError, JournalError, SiliconFlowError
from siliconflow_voice.models import Failure, Voice
from siliconflow_voice.uploads.uploader import OpenUpload
from siliconflow_voice.uploads.values import Status, VoiceUpload

__all__ = ["Bookkeeping"]


@define(eq=False)
class Bookkeeping:
    """A journal in the hands of a run."""

    _journal: Journal
    _resumption: Resumption
    _under_way: dict[bytes, list[asyncio.Future[None]]] = field(factory=dict[bytes, Any], init=False)
    """Keys, each with those who wait for it."""

    def entry(self, upload: VoiceUpload, opened: OpenUpload) -> Entry:
        """Say what the journal knows an upload by, whose audio was read for its digest."""
        # A path's name may have bytes in it that are no text.
        audio = opened.filename.encode("utf-8", "replace").decode()
        return Entry(audio, str(opened.facts.sha256), upload.model, upload.custom_name, upload.text)

    def is_under_way(self, entry: Entry) -> bool:
        """Whether another upload of the same is."""
        return entry.key in self._under_way

    async def enter(self, entry: Entry) -> None:
        """Wait for another upload of the same, and let none begin until :meth:`leave`."""
        while (waiting := self._under_way.get(entry.key)) is not None:
            ended = asyncio.get_running_loop().create_future()
            waiting.append(ended)
            await ended
        self._under_way[entry.key] = []

    def leave(self, entry: Entry) -> None:
        """Let another upload of the same begin."""
        for ended in self._under_way.pop(entry.key):
            if not ended.done():
                ended.set_result(None)

    async def known(self, entry: Entry) -> tuple[Status, Voice] | None:
        """Give the voice that was made of it before, or None if it is to be sent.

        Raises:
            AmbiguousUploadError: There may be one.
            JournalError: The journal can't be read.
        """
        record = await self._journal.transact(partial(Store.find, key=entry.key))
        if record is not None and record.state == "sent":
            raise self._ambiguous(entry)
        if record is None or record.uri is None:
            return None
        voice = Voice(
            record.uri, entry.model, entry.custom_name, entry.text, recovered=record.state == "recovered"
        )
        # What was found as the run began is its news, once.
        status: Status = "recovered" if self._resumption.found.pop(entry.key, None) else "skipped"
        return status, voice

    def _ambiguous(self, entry: Entry) -> AmbiguousUploadError:
        """Say that it was sent before, and that nobody knows what became of it."""
        candidates = self._resumption.doubtful.get(entry.key, ())
        found = (
            f"the account has {len(candidates)} that could be its own or another upload's"
            if candidates
            else "the next run will look for it"
        )
        return AmbiguousUploadError(
            f"It was sent before, and whether it has its voice is not known: {found}", candidates=candidates
        )

    async def begins(self, entry: Entry) -> None:
        """Make durable that it is about to be sent.

        Raises:
            JournalError: It could not be: then nothing must be sent.
        """
        await self._journal.transact(partial(Store.intend, entry=entry))

    async def made(self, entry: Entry, voice: Voice) -> None:
        """Make durable what its uri is.

        Raises:
            JournalError: It could not be. The next run finds the voice in the account's list.
        """
        operation = partial(
            Store.done,
            key=entry.key,
            state="recovered" if voice.recovered else "uploaded",
            uri=voice.uri,
            trace_id=voice.trace_id,
            attempts=len(voice.attempts),
        )
        try:
            await self._journal.transact(operation)
        except JournalError as error:
            error.add_note(f"{entry.custom_name} was uploaded, and could not be recorded: {voice.uri}")
            raise

    async def failed(self, entry: Entry, failure: SiliconFlowError) -> None:
        """Make durable that it failed; it stays open if its voice may exist all the same.

        Raises:
            JournalError: It could not be.
        """
        operation = partial(
            Store.failed,
            entry=entry,
            state="sent" if failure.failure is Failure.UNKNOWN else "failed",
            error=str(failure),
            trace_id=failure.trace_id if isinstance(failure, APIStatusError) else None,
            attempts=len(failure.attempts),
        )
        await self._journal.transact(operation)
