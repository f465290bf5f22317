"""Runs: many uploads at once, whose outcomes come as they complete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import AsyncExitStack

from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.workers import Standstill, Uploads, Workers
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import ConfigurationError
from siliconflow_voice.uploads.values import UploadOutcome, VoiceUpload

__all__ = ["upload_many"]


def upload_many(
    client: VoiceClient,
    uploads: Iterable[VoiceUpload] | AsyncIterable[VoiceUpload],
    *,
    concurrency: int = 16,
    journal: Journal | str | os.PathLike[str] | None = None,
    settle: float = 10.0,
) -> AsyncGenerator[UploadOutcome, None]:
    """Upload many recordings, and yield each one's outcome as it completes.

    ::

        async with aclosing(upload_many(client, uploads, journal="voices.journal")) as outcomes:
            async for outcome in outcomes:
                print(outcome.index, outcome.status, outcome.voice or outcome.error)

    An upload that fails is an outcome, and stops no other. Errors that would hit every upload (a bad key, no
    balance, a daily quota, a wrong address, a journal that can't be written) stop the run: what is under way
    is finished, the rest is not begun, and the error is raised. Closing the iterator, or a cancellation, ends
    it at once.

    With a *journal*, each upload is recorded before its first byte is sent, and its uri before its outcome is
    yielded. A later run with the same journal skips the uploads that have their uri, looks up those that were
    under way when the last run ended, and sends the rest. An upload is known by its audio's content, its
    model, its name and its text; where the audio comes from does not matter.

    Args:
        client: Makes the uploads. Its ``RetryPolicy.deadline`` begins with an upload's first turn at the
            throttle: time in a long line doesn't count.
        uploads: Consumed one by one as there is room, so there may be any number of them. ``next()`` of an
            iterator that is not async is called in the event loop.
        concurrency: How many are worked on at once, outcomes that were not consumed yet included. The
            client's throttle decides how many are sent.
        journal: A :class:`Journal` that is open, a path for one that is this run's alone, or the URL of a
            PostgreSQL database for one that any number of runs share.
        settle: Seconds that have to be over since the last run's end, before an upload of that run which is
            missing from the voice list is sent again. A wait for that is a :class:`SettleEvent`.

    Raises:
        SiliconFlowError: What stops the run; before anything is sent, if the account can't be listed for a
            journal.
        ConfigurationError: *concurrency* or *settle* is invalid.
    """
    _check(uploads=uploads, concurrency=concurrency, settle=settle)
    return _outcomes(client, uploads, concurrency, journal, settle)


def _check(*, uploads: object, concurrency: object, settle: object) -> None:
    if not isinstance(uploads, Iterable | AsyncIterable):
        raise ConfigurationError(f"uploads must be an iterable of VoiceUpload, not {type(uploads).__name__}")
    if type(concurrency) is not int or concurrency < 1:
        raise ConfigurationError(f"concurrency must be a whole number, at least 1, got {concurrency!r}")
    if type(settle) not in {int, float} or not settle >= 0:  # type: ignore[operator] # a number
        raise ConfigurationError(f"settle must be seconds, at least 0, got {settle!r}")


async def _outcomes(
    client: VoiceClient,
    uploads: Uploads,
    concurrency: int,
    journal: Journal | str | os.PathLike[str] | None,
    settle: float,
) -> AsyncGenerator[UploadOutcome, None]:
    uploader = client.uploader()
    async with AsyncExitStack() as stack:
        journaling = None
        if journal is None:
            # Now, or the first uploads would overtake each other while they wait for it.
            await uploader.prepare(uploader.until())
        else:
            if not isinstance(journal, Journal):
                journal = await stack.enter_async_context(Journal(journal))
            journaling = await stack.enter_async_context(journal.run(uploader, settle=settle))
        window, deadline = client.throttle.window, uploader.settings.retry.deadline
        hurried = deadline is not None and deadline < window
        standstill = Standstill(concurrency, window / 2 if hurried else window)
        workers = Workers(client, journaling, uploads, asyncio.Semaphore(concurrency), standstill)
        # A task of its own: its group must not begin and end around a `yield`, since the consumer may iterate
        # from several tasks, and is not to be cancelled because an upload ends the run.
        work = asyncio.create_task(workers.work())
        work.add_done_callback(workers.over)
        try:
            while (outcome := await workers.next()) is not None:
                yield outcome
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
