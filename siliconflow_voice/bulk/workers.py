"""The workers of a run: one for each upload under way, begun as there is room, and ended together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Generator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, TypeAlias

from attrs import define, field

from siliconflow_voice.bulk.journaling import ClaimLostError, RunJournal, entry_of
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
    RateLimitError,
    RealNameRequiredError,
    SiliconFlowError,
    ThrottleError,
    UnexpectedRedirectError,
)
from siliconflow_voice.models import Voice
from siliconflow_voice.uploads.recovery import Recovery
from siliconflow_voice.uploads.uploader import OpenUpload
from siliconflow_voice.uploads.values import Status, UploadOutcome, VoiceUpload

__all__ = ["Standstill", "Uploads", "Workers"]

Uploads: TypeAlias = "Iterable[VoiceUpload] | AsyncIterable[VoiceUpload]"

# Errors that every other upload would meet too.
_FATAL = (
    AuthenticationError,
    ConfigurationError,
    InsufficientBalanceError,
    JournalError,
    NotFoundError,
    QuotaExhaustedError,
    RealNameRequiredError,
    ThrottleError,
    UnexpectedRedirectError,
)
# 403s that are the whole account's: disabled, expired.
_FATAL_CODES = frozenset({30002, 30012})

_END: Any = object()


@define(eq=False)
class Standstill:
    """Tells when the account's limit lets nothing pass any more, so that every other upload would fail too.

    That is when as many uploads in a row as are worked on at once have failed for it, and none has passed for
    the limit's window; for half of it, where an upload's own deadline is too short to wait for the next.
    """

    concurrency: int
    patience: float
    """Seconds in which something should have passed."""
    _passed_at: float = field(factory=lambda: asyncio.get_running_loop().time(), init=False)
    _refused: int = field(default=0, init=False)

    def passed(self) -> None:
        """Note that an upload was accepted."""
        self._passed_at, self._refused = asyncio.get_running_loop().time(), 0

    def refused(self) -> bool:
        """Note that an upload failed for a rate limit; return whether the run stands still."""
        self._refused += 1
        idle = asyncio.get_running_loop().time() - self._passed_at
        return self._refused >= self.concurrency and idle >= self.patience


@define(eq=False)
class Workers:
    """All that a run is doing, and the outcomes that were not consumed yet.

    An upload has a place from before it comes out of the iterable until its outcome is consumed: so there are
    never more workers and outcomes than places.
    """

    client: VoiceClient
    journaling: RunJournal | None
    _uploads: Uploads
    _places: asyncio.Semaphore
    standstill: Standstill
    ending: Exception | None = field(default=None, init=False)
    """What ends the run before all is done."""
    _outcomes: asyncio.Queue[UploadOutcome | None] = field(
        factory=asyncio.Queue["UploadOutcome | None"], init=False
    )
    _workers: set[_Worker] = field(factory=set["_Worker"], init=False)
    _feeder: asyncio.Task[None] | None = field(default=None, init=False)

    async def work(self) -> None:
        """Carry out all uploads; raise what ended the run before that."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed(group))
        if self.ending is not None:
            raise self.ending

    async def next(self) -> UploadOutcome | None:
        """Return the next outcome, or None once there will be no more."""
        outcome = await self._outcomes.get()
        if outcome is not None:
            self._places.release()
        return outcome

    def over(self, _work: asyncio.Task[None]) -> None:
        """Called when the work has ended, however it did."""
        self._outcomes.put_nowait(None)

    def deliver(self, outcome: UploadOutcome) -> None:
        """Hand an outcome to the consumer."""
        self._outcomes.put_nowait(outcome)

    def end(self, error: Exception) -> None:
        """Begin nothing more, and cancel the workers that lose nothing by that."""
        if self.ending is not None:
            # Such as uris that could not be recorded either.
            for note in getattr(error, "__notes__", ()):
                self.ending.add_note(note)
            return
        self.ending = error
        if self._feeder is not None:
            self._feeder.cancel()
        for worker in self._workers:
            worker.cancel_if_idle()

    def cancelled(self) -> None:
        """Called when one task was cancelled: unless all are, that must not look like the end of the work."""
        if self.ending is None:
            self.end(SiliconFlowError("The run was cancelled by its iterable or by a stream of audio"))

    def left(self, worker: _Worker) -> None:
        """Called when a worker is done."""
        self._workers.discard(worker)

    async def _feed(self, group: asyncio.TaskGroup) -> None:
        """Begin a worker for each upload. One task iterates: an iterable may hold scopes of a task."""
        self._feeder = asyncio.current_task()
        try:
            async with aclosing(_numbered(self._uploads)) as uploads:
                while True:
                    await self._places.acquire()
                    item = await anext(uploads, None)
                    if item is None:
                        break
                    worker = _Worker(self, *item)
                    self._workers.add(worker)
                    group.create_task(worker.run())
        except asyncio.CancelledError:
            self.cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - raised to the consumer, once the others have ended
            self.end(error)
        finally:
            self._feeder = None


@define(eq=False)
class _Worker:
    """Carries out one upload, and is the guard of its attempts."""

    _run: Workers
    _index: int
    _upload: VoiceUpload
    _task: asyncio.Task[None] | None = field(default=None, init=False)
    _entry: Entry | None = field(default=None, init=False)
    """What the journal knows it by."""
    _attempts: int = field(default=0, init=False)
    _idle: bool = field(default=True, init=False)
    """Whether it loses nothing by being cancelled: no attempt is under way, and there is no outcome yet."""

    async def run(self) -> None:
        """Carry it out, unless the run has ended meanwhile."""
        self._task = asyncio.current_task()
        try:
            if self._run.ending is None:
                self._run.deliver(await self._carry_out())
        except asyncio.CancelledError:
            self._run.cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - raised to the consumer, once the others have ended
            self._run.end(error)
        finally:
            self._run.left(self)

    async def begins(self) -> None:
        self._idle = False
        self._attempts += 1
        if self._run.journaling is not None and self._entry is not None:
            await self._run.journaling.begins(self._entry, first=self._attempts == 1)

    def ended(self) -> None:
        self._idle = True
        if self._run.ending is not None:
            # Not at once: unless it is to be tried again, its outcome is there before the next turn.
            asyncio.get_running_loop().call_soon(self.cancel_if_idle)

    def cancel_if_idle(self) -> None:
        """End, if nothing is lost by that."""
        if self._idle and self._task is not None:
            self._task.cancel()

    async def _carry_out(self) -> UploadOutcome:
        """Return the upload's outcome.

        Raises:
            SiliconFlowError: Every other upload would meet it too.
        """
        run, size = self._run, None
        try:
            uploader = run.client.uploader()
            with uploader.counted():
                opened = await uploader.open(
                    self._upload, until=uploader.until(), digest=run.journaling is not None
                )
                async with aclosing(opened):
                    size = opened.facts.size
                    deadline = Deadline(uploader.settings.retry.deadline)
                    if run.journaling is None:
                        status, voice = await self._send(opened, deadline)
                    else:
                        status, voice = await self._send_once(run.journaling, opened, deadline)
        except SiliconFlowError as error:
            if _ends_all(error):
                raise
            if isinstance(error, RateLimitError) and run.standstill.refused():
                error.add_note(
                    "Nothing has passed for a while: run again later, or raise RetryPolicy.deadline"
                )
                raise
            return UploadOutcome(self._index, self._upload, "failed", None, error, size)
        run.standstill.passed()
        return UploadOutcome(self._index, self._upload, status, voice, None, size)

    async def _send(
        self, opened: OpenUpload, deadline: Deadline, recovery: Recovery | None = None
    ) -> tuple[Status, Voice]:
        try:
            voice = await opened.send(deadline=deadline, guard=self, recovery=recovery)
        finally:
            # From here on, there is an outcome.
            self._idle = False
        return "recovered" if voice.recovered else "uploaded", voice

    async def _send_once(
        self, journaling: RunJournal, opened: OpenUpload, deadline: Deadline
    ) -> tuple[Status, Voice]:
        """Send it and record what came of it, unless the journal has its voice."""
        entry = entry_of(self._upload, opened)
        if journaling.is_under_way(entry):
            opened.wait()
        async with journaling.alone(entry):
            while True:
                if (known := await journaling.known(entry, opened.wait)) is not None:
                    return known
                self._entry = entry
                try:
                    sent = await self._send(opened, deadline, journaling.recovery(entry))
                except JournalError:
                    raise
                except ClaimLostError:
                    continue
                except SiliconFlowError as error:
                    await journaling.failed(entry, error)
                    raise
                await journaling.done(entry, sent[1])
                return sent


async def _numbered(uploads: Uploads) -> AsyncGenerator[tuple[int, VoiceUpload], None]:
    """Number the uploads from 0, and close their iterator, unless it is the caller's own.

    Raises:
        ConfigurationError: Something among them is not an upload.
        Exception: Whatever the iterable raises.
    """
    iterator: AsyncIterator[object] | Iterator[object] = (
        aiter(uploads) if isinstance(uploads, AsyncIterable) else iter(uploads)
    )
    index = 0
    try:
        while True:
            if isinstance(iterator, AsyncIterator):
                upload = await anext(iterator, _END)
            else:
                upload = next(iterator, _END)
            if upload is _END:
                return
            if not isinstance(upload, VoiceUpload):
                raise ConfigurationError(
                    f"uploads must hold VoiceUpload items only; item {index} is a {type(upload).__name__}"
                )
            yield index, upload
            index += 1
    finally:
        if iterator is not uploads:
            # One of a manifest's has a file open.
            if isinstance(iterator, AsyncGenerator):
                await iterator.aclose()
            elif isinstance(iterator, Generator):
                iterator.close()


def _ends_all(error: SiliconFlowError) -> bool:
    return isinstance(error, _FATAL) or (isinstance(error, APIStatusError) and error.code in _FATAL_CODES)
