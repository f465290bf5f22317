"""A worker: takes chunks from the queue and uploads their rows, until it is stopped or all is done."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import procrastinate
import procrastinate.worker
from procrastinate.exceptions import ConnectorException

from siliconflow_voice.database import Address
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.options import WorkerOptions
from siliconflow_voice.fleet.queue import QUEUE, SWEEPS, build, sweep
from siliconflow_voice.fleet.station import Tally, Workplace

__all__ = ["app", "work"]

_log = logging.getLogger("siliconflow_voice")

# Seconds between two looks whether all is done, and until a worker begins anew after the database was away.
_POLL = 1.0


def app(database_url: str, options: WorkerOptions = WorkerOptions()) -> procrastinate.App:
    """Return the procrastinate app of a fleet, for workers that procrastinate's own command runs.

    ::

        app = fleet.app("postgresql://user@host/database")  # procrastinate --app=module.app worker

    Such a worker does what :func:`work` does, but it ends as procrastinate's do: it finishes its chunks, or
    cuts them off after ``--shutdown-graceful-timeout``. After an error that would hit every upload it tries
    again in ten seconds. Without ``--concurrency`` it takes two chunks at once, and its sweeps wait for a
    free place.

    Raises:
        ConfigurationError: The database's URL is invalid.
    """
    address = Address.parse(database_url)
    return build(address, Workplace(address, options))


async def work(
    database_url: str,
    options: WorkerOptions = WorkerOptions(),
    *,
    until_done: bool = False,
    stop: asyncio.Event | None = None,
    deadline: float = 30.0,
) -> Tally:
    """Upload what was submitted, as one of any number of workers; return what this one has done.

    A cancellation cuts off what is under way: what became of it is looked up by the worker that comes to it
    next.

    Args:
        database_url: ``postgresql://user@host/database``, where it was submitted.
        options: How fast, with which client, and where the recordings are.
        until_done: End once all that was submitted is done, by this worker or others.
        stop: End in good order once this is set: begin nothing, finish what is under way, give the rest back.
        deadline: Seconds that this may take; then it is cut off.

    Raises:
        SiliconFlowError: An error that would hit every upload (a bad key, a daily quota, another account's
            journal, a database that is away for longer than ``patience``); unfinished chunks are back in the
            queue.
        ConfigurationError: The URL is invalid.
    """
    address = Address.parse(database_url)
    place = Workplace(address, options)
    place.stopped = asyncio.Event()
    await place.open()
    try:
        queue = build(address, place)
        async with queue.open_async():
            await sweep(queue, place)
            await _work(queue, place, until_done=until_done, stop=stop or asyncio.Event(), deadline=deadline)
    finally:
        await place.close()
    if place.error is not None:
        raise place.error
    return place.tally


async def _work(
    queue: procrastinate.App, place: Workplace, *, until_done: bool, stop: asyncio.Event, deadline: float
) -> None:
    assert place.stopped is not None  # noqa: S101 - this is the one that ends it
    workers = [_Worker(queue, place, [QUEUE]), _Worker(queue, place, [SWEEPS], concurrency=1)]
    # Tasks of their own: what ends one must not cut off the others.
    working = [asyncio.create_task(worker.work()) for worker in workers]
    ends: list[asyncio.Task[Any]] = [
        asyncio.create_task(stop.wait()),
        asyncio.create_task(place.stopped.wait()),
    ]
    if until_done:
        ends.append(asyncio.create_task(_all_done(place)))
    try:
        await asyncio.wait([*working, *ends], return_when=asyncio.FIRST_COMPLETED)
        for worker in workers:
            worker.stop()
        await place.drain(deadline)
    except asyncio.CancelledError:
        place.cancel()
        raise
    finally:
        for worker in workers:
            worker.stop()
        for task in ends:
            task.cancel()
        await asyncio.wait([*working, *ends])
    for task in (*working, *ends):
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


class _Worker:
    """A worker of the queue; one that ends by itself lost the database, and begins anew once that is back."""

    def __init__(self, queue: procrastinate.App, place: Workplace, queues: list[str], **changes: Any) -> None:
        options: dict[str, Any] = {**queue.worker_defaults, "queues": queues, **changes}
        # Not by the app, which offers no more than a cancellation: psycopg may lose that.
        self._worker = procrastinate.worker.Worker(queue, install_signal_handlers=False, **options)
        self._place = place
        self._is_stopping = False

    async def work(self) -> None:
        """Work until stopped."""
        while not self._is_stopping:
            try:
                await self._worker.run()  # type: ignore[no-untyped-call] # of procrastinate
            except ConnectorException as error:
                problem = " ".join(str(error.__cause__ or error).split())
                _log.warning("The queue's database was away: %s", problem)
            if not self._is_stopping:
                await self._place.tables.ask(sql.UNFINISHED)  # once it is back
                await asyncio.sleep(_POLL)

    def stop(self) -> None:
        """Take no further job, and end once those under way have ended."""
        self._is_stopping = True
        self._worker.stop()  # type: ignore[no-untyped-call] # procrastinate's


async def _all_done(place: Workplace) -> None:
    """Return once no chunk is unfinished."""
    while (await place.tables.ask(sql.UNFINISHED))[0][0]:  # noqa: ASYNC110 - other processes finish them
        await asyncio.sleep(_POLL)
