"""Many uploads at once, whose outcomes come as they complete."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Iterable
from contextlib import AsyncExitStack

from siliconflow_voice.bulk.bookkeeping import Bookkeeping
from siliconflow_voice.bulk.crew import Crew
from siliconflow_voice.bulk.intake import Intake, Uploads
from siliconflow_voice.bulk.journal import Journal
from siliconflow_voice.bulk.resume import resume
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
    """Upload many recordings, and give what each came to as it completes.

    ::

        async with aclosing(upload_many(client, uploads, journal="voices.journal")) as outcomes:
            async for outcome in outcomes:
                print(outcome.index, outcome.status, outcome.voice or outcome.error)

    An upload that fails is an outcome, and stops no other. What all would meet alike (a key that is refused,
    no balance, a daily quota, a wrong address, a journal that can't be written) ends the run: what is under
    way is finished, the rest is left as it is, and the error is raised. Closing the iterator, or a
    cancellation, ends it at once.

    With a *journal*, each upload is written down before its first byte is sent, and its uri before its
    outcome is given. A later run with the same journal skips what has its uri, looks up what was under way
    when the last one ended, and sends the rest. An upload is known by its audio's content, its model, its
    name and its text; where it comes from does not matter.

    Args:
        client: Makes the uploads. Its ``RetryPolicy.deadline`` begins with an upload's first turn at the
            throttle: those that wait in a long line don't fail for it.
        uploads: Taken one by one as there is room, so they may be any number. ``next()`` of one that is not
            async is called in the event loop.
        concurrency: How many are worked on at once, or wait for somebody to take their outcome. The client's
            throttle decides how many are sent.
        journal: A :class:`Journal` that is open, or a path for one that is this run's alone.
        settle: Seconds that the service is given to finish with what it was sent before the last run ended:
            a voice that is not listed by then is taken not to exist.

    Raises:
        SiliconFlowError: What ends the run; before anything is sent, if the account can't be listed for a
            journal.
        ConfigurationError: *concurrency* or *settle* is of no use.
    """
    _check(uploads=uploads, concurrency=concurrency, settle=settle)
    return _outcomes(client, uploads, concurrency, journal, settle)


def _check(*, uploads: object, concurrency: object, settle: object) -> None:
    if not isinstance(uploads, Iterable | AsyncIterable):
        raise ConfigurationError(f"uploads takes an iterable of VoiceUpload, not {type(uploads).__name__}")
    if type(concurrency) is not int or concurrency < 1:
        raise ConfigurationError(f"concurrency takes a whole number from 1, not {concurrency!r}")
    if type(settle) not in {int, float} or not settle >= 0:  # type: ignore[operator] # a number
        raise ConfigurationError(f"settle takes seconds from 0, not {settle!r}")


async def _outcomes(
    client: VoiceClient,
    uploads: Uploads,
    concurrency: int,
    journal: Journal | str | os.PathLike[str] | None,
    settle: float,
) -> AsyncGenerator[UploadOutcome, None]:
    uploader = client.uploader()
    async with AsyncExitStack() as stack:
        books = None
        if journal is None:
            # Now, or the first uploads would overtake each other while they wait for it.
            await uploader.prepare(uploader.until())
        else:
            if not isinstance(journal, Journal):
                journal = await stack.enter_async_context(Journal(journal))
            journal.take()
            stack.callback(journal.give_back)
            books = Bookkeeping(journal, await resume(journal, uploader, settle=settle))
        intake = Intake(uploads)
        stack.push_async_callback(intake.aclose)
        crew = Crew(client, books, intake, asyncio.Semaphore(concurrency))
        # A task of its own: its group must not begin and end around a `yield`, for who iterates may do so
        # from several tasks, and is not to be cancelled because an upload ends the run.
        work = asyncio.create_task(crew.work())
        work.add_done_callback(crew.over)
        try:
            while (outcome := await crew.next()) is not None:
                yield outcome
            await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
