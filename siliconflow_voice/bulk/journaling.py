"""A run's use of its journal: whether an upload has its voice already, and one of a kind at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from attrs import define, field

from siliconflow_voice.bulk.resume import Resumption
from siliconflow_voice.bulk.sqlite import SQLiteJournal
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.errors import AmbiguousUploadError
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.uploader import OpenUpload
from siliconflow_voice.uploads.values import Status, VoiceUpload

__all__ = ["Journaling", "entry_of"]


@define(eq=False)
class Journaling:
    """A journal as one run uses it."""

    journal: SQLiteJournal
    _resumption: Resumption
    _under_way: dict[bytes, list[asyncio.Future[None]]] = field(factory=dict[bytes, Any], init=False)
    """Keys, each with the uploads that wait for it."""

    def is_under_way(self, entry: Entry) -> bool:
        """Return whether another upload of the same is under way."""
        return entry.key in self._under_way

    @asynccontextmanager
    async def alone(self, entry: Entry) -> AsyncGenerator[None, None]:
        """Wait for another upload of the same, and let no other begin within."""
        while (waiting := self._under_way.get(entry.key)) is not None:
            ended = asyncio.get_running_loop().create_future()
            waiting.append(ended)
            await ended
        self._under_way[entry.key] = []
        try:
            yield
        finally:
            for ended in self._under_way.pop(entry.key):
                if not ended.done():
                    ended.set_result(None)

    async def known(self, entry: Entry) -> tuple[Status, Voice] | None:
        """Return the voice that was made of it before, or None if it is to be sent.

        Raises:
            AmbiguousUploadError: It may have one.
            JournalError: The journal can't be read.
        """
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
