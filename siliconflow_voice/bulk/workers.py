"""The workers of a run: each carries out one upload after the other, and all end together."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from attrs import define, field

from siliconflow_voice.bulk.bookkeeping import Bookkeeping
from siliconflow_voice.bulk.intake import Intake
from siliconflow_voice.bulk.store import Entry
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.deadline import Deadline
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
from siliconflow_voice.uploader import OpenUpload
from siliconflow_voice.uploads import Status, UploadOutcome, VoiceUpload

__all__ = ["Crew"]

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


@define(eq=False)
class Crew:
    """The workers, and the outcomes that nobody has taken yet."""

    client: VoiceClient
    intake: Intake
    size: int
    """The most workers that there are."""
    books: Bookkeeping | None
    ending: Exception | None = field(default=None, init=False)
    """What ends the run before all is done."""
    outcomes: asyncio.Queue[UploadOutcome | None] = field(init=False)
    """None comes last."""
    _workers: list[_Worker] = field(factory=list["_Worker"], init=False)

    def __attrs_post_init__(self) -> None:
        # Bounded, or one who takes them slowly would have all of them in memory.
        self.outcomes = asyncio.Queue(self.size)

    async def work(self) -> None:
        """Carry out all of it, and raise what ended it before."""
        async with asyncio.TaskGroup() as group:
            self.engage(group)
        await self.outcomes.put(None)
        if self.ending is not None:
            raise self.ending

    def engage(self, group: asyncio.TaskGroup) -> None:
        """Engage one more, if there may be: as many as there is work for, since *size* may be far more."""
        if len(self._workers) < self.size:
            worker = _Worker(self)
            self._workers.append(worker)
            worker.task = group.create_task(worker.toil(group))

    def end(self, error: Exception) -> None:
        """Begin nothing more, and let those go who can."""
        if self.ending is not None:
            # Such as uris that could not be recorded either.
            for note in getattr(error, "__notes__", ()):
                self.ending.add_note(note)
            return
        self.ending = error
        for worker in self._workers:
            worker.let_go()


@define(eq=False)
class _Worker:
    """Carries out one upload after the other, and is the guard of their attempts."""

    crew: Crew
    task: asyncio.Task[None] = field(init=False)
    _entry: Entry | None = field(default=None, init=False)
    """What the books know the upload in hand by, until it is written there."""
    _may_go: bool = field(default=True, init=False)
    """Whether it can be cancelled and nothing is lost: no attempt is under way, and no outcome in hand."""

    async def toil(self, group: asyncio.TaskGroup) -> None:
        """Work until there is nothing left, or the run ends."""
        crew = self.crew
        try:
            while crew.ending is None and (taken := await crew.intake.take()) is not None:
                crew.engage(group)
                outcome = await self._carry_out(*taken)
                self._may_go = False
                await crew.outcomes.put(outcome)
                self._may_go = True
        except Exception as error:  # noqa: BLE001 - raised to who iterates, once the others have ended
            crew.end(error)

    async def begins(self) -> None:
        self._may_go = False
        entry, self._entry = self._entry, None
        if self.crew.books is not None and entry is not None:
            await self.crew.books.begins(entry)

    def ended(self) -> None:
        self._may_go = True
        if self.crew.ending is not None:
            # Not at once: unless it is to be tried again, what it came to is in hand before the next turn.
            asyncio.get_running_loop().call_soon(self.let_go)

    def let_go(self) -> None:
        """End, if nothing is lost by that."""
        if self._may_go:
            self.task.cancel()

    async def _carry_out(self, index: int, upload: VoiceUpload) -> UploadOutcome:
        """Carry out an upload.

        Raises:
            SiliconFlowError: What all others would meet too.
        """
        size = None
        try:
            engine = self.crew.client._ready()  # noqa: SLF001 - of one package
            uploader = self.crew.client._uploader  # noqa: SLF001 - likewise
            opened = await uploader.open(upload, until=engine.until(), digest=self.crew.books is not None)
            async with aclosing(opened):
                size = opened.facts.size
                deadline = Deadline(engine.retry.deadline)
                if self.crew.books is None:
                    status, voice = await self._send(opened, deadline)
                else:
                    status, voice = await self._send_once(self.crew.books, upload, opened, deadline)
        except SiliconFlowError as error:
            self._may_go = False
            if _ends_all(error):
                raise
            return UploadOutcome(index, upload, "failed", None, error, size)
        return UploadOutcome(index, upload, status, voice, None, size)

    async def _send(self, opened: OpenUpload, deadline: Deadline) -> tuple[Status, Voice]:
        voice = await opened.send(deadline=deadline, guard=self)
        self._may_go = False
        return "recovered" if voice.recovered else "uploaded", voice

    async def _send_once(
        self, books: Bookkeeping, upload: VoiceUpload, opened: OpenUpload, deadline: Deadline
    ) -> tuple[Status, Voice]:
        """Send it, unless the books have its voice."""
        entry = books.entry(upload, opened)
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
            self._may_go = False
            await books.failed(entry, error)
            raise
        finally:
            self._entry = None
        await books.made(entry, sent[1])
        return sent


def _ends_all(error: SiliconFlowError) -> bool:
    return isinstance(error, _HOPELESS) or (
        isinstance(error, APIStatusError) and error.code in _HOPELESS_CODES
    )
