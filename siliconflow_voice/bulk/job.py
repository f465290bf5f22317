"""One upload of a run: sent once, written down before and after, and let go where nothing is lost by that."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Protocol

from attrs import define, field

from siliconflow_voice.bulk.bookkeeping import Bookkeeping
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.calls.deadline import Deadline
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import (
    APIStatusError,
    AuthenticationError,
    ConfigurationError,
    InsufficientBalanceError,
    JournalError,
    NotFoundError,
    QuotaExhaustedError,
    RealNameRequiredError,
    SiliconFlowError,
    UnexpectedRedirectError,
)
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.uploader import OpenUpload
from siliconflow_voice.uploads.values import Status, UploadOutcome, VoiceUpload

__all__ = ["Job", "Run"]

# What all others would meet too.
_HOPELESS = (
    AuthenticationError,
    ConfigurationError,
    InsufficientBalanceError,
    JournalError,
    NotFoundError,
    QuotaExhaustedError,
    RealNameRequiredError,
    UnexpectedRedirectError,
)
# 403s that are the whole account's: disabled, expired.
_HOPELESS_CODES = frozenset({30002, 30012})


class Run(Protocol):
    """What a job is part of."""

    client: VoiceClient
    books: Bookkeeping | None
    ending: Exception | None

    def deliver(self, outcome: UploadOutcome) -> None:
        """Take what it came to."""

    def end(self, error: Exception) -> None:
        """Hear what all others would meet too."""

    def cancelled(self) -> None:
        """Hear that it was cancelled."""

    def left(self, job: Job) -> None:
        """Hear that it is over."""


@define(eq=False)
class Job:
    """Carries out one upload, and is the guard of its attempts."""

    _run: Run
    _index: int
    _upload: VoiceUpload
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _entry: Entry | None = field(default=None, init=False)
    """What is yet to be written into the books."""
    _may_go: bool = field(default=True, init=False)
    """Whether it can be cancelled and nothing is lost: no attempt is under way, and no outcome in hand."""

    async def run(self) -> None:
        """Carry it out, unless the run has ended meanwhile."""
        self._task = asyncio.current_task()
        try:
            if self._run.ending is None:
                self._run.deliver(await self._carry_out())
        except asyncio.CancelledError:
            self._run.cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - raised to who iterates, once the others have ended
            self._run.end(error)
        finally:
            self._run.left(self)

    async def begins(self) -> None:
        self._may_go = False
        entry, self._entry = self._entry, None
        if self._run.books is not None and entry is not None:
            await self._run.books.begins(entry)

    def ended(self) -> None:
        self._may_go = True
        if self._run.ending is not None:
            # Not at once: unless it is to be tried again, what it came to is in hand before the next turn.
            asyncio.get_running_loop().call_soon(self.let_go)

    def let_go(self) -> None:
        """End, if nothing is lost by that."""
        if self._may_go and self._task is not None:
            self._task.cancel()

    async def _carry_out(self) -> UploadOutcome:
        """Give what it came to.

        Raises:
            SiliconFlowError: What all others would meet too.
        """
        run, size = self._run, None
        try:
            uploader = run.client.uploader()
            opened = await uploader.open(self._upload, until=uploader.until(), digest=run.books is not None)
            async with aclosing(opened):
                size = opened.facts.size
                deadline = Deadline(uploader.settings.retry.deadline)
                if run.books is None:
                    status, voice = await self._send(opened, deadline)
                else:
                    status, voice = await self._send_once(run.books, opened, deadline)
        except SiliconFlowError as error:
            if _ends_all(error):
                raise
            return UploadOutcome(self._index, self._upload, "failed", None, error, size)
        return UploadOutcome(self._index, self._upload, status, voice, None, size)

    async def _send(self, opened: OpenUpload, deadline: Deadline) -> tuple[Status, Voice]:
        try:
            voice = await opened.send(deadline=deadline, guard=self)
        finally:
            # From here on, there is something to tell.
            self._may_go = False
        return "recovered" if voice.recovered else "uploaded", voice

    async def _send_once(
        self, books: Bookkeeping, opened: OpenUpload, deadline: Deadline
    ) -> tuple[Status, Voice]:
        """Send it, unless the books have its voice."""
        entry = books.entry(self._upload, opened)
        if books.is_under_way(entry):
            opened.wait()
        await books.enter(entry)
        try:
            return await books.known(entry) or await self._send_and_record(books, entry, opened, deadline)
        finally:
            books.leave(entry)

    async def _send_and_record(
        self, books: Bookkeeping, entry: Entry, opened: OpenUpload, deadline: Deadline
    ) -> tuple[Status, Voice]:
        self._entry = entry
        try:
            sent = await self._send(opened, deadline)
        except JournalError:
            raise
        except SiliconFlowError as error:
            await books.failed(entry, error)
            raise
        await books.made(entry, sent[1])
        return sent


def _ends_all(error: SiliconFlowError) -> bool:
    return isinstance(error, _HOPELESS) or (
        isinstance(error, APIStatusError) and error.code in _HOPELESS_CODES
    )
