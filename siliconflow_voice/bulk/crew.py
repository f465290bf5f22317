"""The jobs of a run: begun as there is room, and ended together."""

from __future__ import annotations

import asyncio

from attrs import define, field

from siliconflow_voice.bulk.bookkeeping import Bookkeeping
from siliconflow_voice.bulk.intake import Intake
from siliconflow_voice.bulk.job import Job
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Crew"]


@define(eq=False)
class Crew:
    """All that a run is doing, and the outcomes that nobody has taken yet.

    A place is taken by an upload from before it comes out of the iterable until its outcome is taken: so
    neither jobs nor outcomes are ever more than there are places.
    """

    client: VoiceClient
    books: Bookkeeping | None
    _intake: Intake
    _places: asyncio.Semaphore
    ending: Exception | None = field(default=None, init=False)
    """What ends the run before all is done."""
    _outcomes: asyncio.Queue[UploadOutcome | None] = field(
        factory=asyncio.Queue["UploadOutcome | None"], init=False
    )
    _jobs: set[Job] = field(factory=set[Job], init=False)
    _feeder: asyncio.Task[None] | None = field(default=None, init=False)

    async def work(self) -> None:
        """Carry out all of it, and raise what ended it before."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._feed(group))
        if self.ending is not None:
            raise self.ending

    async def next(self) -> UploadOutcome | None:
        """Give the next outcome, or None once there will be no more."""
        outcome = await self._outcomes.get()
        if outcome is not None:
            self._places.release()
        return outcome

    def over(self, _work: asyncio.Task[None]) -> None:
        """Hear that the work has ended, however it did."""
        self._outcomes.put_nowait(None)

    def deliver(self, outcome: UploadOutcome) -> None:
        """Take what a job came to."""
        self._outcomes.put_nowait(outcome)

    def end(self, error: Exception) -> None:
        """Begin nothing more, and let those go who can."""
        if self.ending is not None:
            # Such as uris that could not be recorded either.
            for note in getattr(error, "__notes__", ()):
                self.ending.add_note(note)
            return
        self.ending = error
        if self._feeder is not None:
            self._feeder.cancel()
        for job in self._jobs:
            job.let_go()

    def cancelled(self) -> None:
        """Hear that somebody was cancelled: unless all are, that must not look like the end of the work."""
        if self.ending is None:
            self.end(SiliconFlowError("The run was cancelled by its iterable or by a stream of audio"))

    def left(self, job: Job) -> None:
        """Hear that a job is over."""
        self._jobs.discard(job)

    async def _feed(self, group: asyncio.TaskGroup) -> None:
        """Begin a job for each upload. One task takes all: an iterable may hold scopes that are a task's."""
        self._feeder = asyncio.current_task()
        try:
            while True:
                await self._places.acquire()
                taken = await self._intake.take()
                if taken is None:
                    break
                job = Job(self, *taken)
                self._jobs.add(job)
                group.create_task(job.run())
        except asyncio.CancelledError:
            self.cancelled()
            raise
        except Exception as error:  # noqa: BLE001 - raised to who iterates, once the others have ended
            self.end(error)
        finally:
            self._feeder = None
