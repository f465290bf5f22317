"""The queue: procrastinate's, whose jobs are chunks of rows; and a sweep that frees those of dead workers."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, Protocol

import procrastinate
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager

from siliconflow_voice.database import Address, Connection
from siliconflow_voice.fleet import statements as sql
from siliconflow_voice.fleet.tables import Tables, rows_of

__all__ = ["QUEUE", "SWEEPS", "NotFinishedError", "Station", "build", "put", "sweep"]

QUEUE = "siliconflow_voice"
"""Of chunks."""
SWEEPS = "siliconflow_voice_sweeps"
"""Of sweeps: apart, since chunks may take long."""
_CHUNK = "siliconflow_voice.upload_chunk"
_SWEEP = "siliconflow_voice.sweep"
_EVERY_TEN_SECONDS = "* * * * * */10"
# Chunks at once in a process: while the last rows of one are under way, the next has begun.
_CHUNKS = 2
# Heartbeats within a lease: two may be late.
_BEATS = 3


class NotFinishedError(Exception):
    """A chunk goes back to the queue: some of its rows have no result yet."""


class Station(Protocol):
    """What a process works with."""

    @property
    def lease(self) -> float: ...
    @property
    def patience(self) -> float: ...
    @property
    def tables(self) -> Tables: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    def carry_out(self, submission: int, number: int) -> Awaitable[None]: ...


class _BackToTheQueue(procrastinate.BaseRetryStrategy):
    """Whatever ended a chunk's job, the rest is still to be done; at once: a time would be this machine's."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:  # noqa: ARG002 - for any
        return procrastinate.RetryDecision()


class _Connector(procrastinate.PsycopgConnector):
    """One that closes what the process works with: an app has no such hook."""

    def __init__(self, station: Station, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType] # its callables are bare
        self._station = station

    async def close_async(self) -> None:
        await self._station.close()
        await super().close_async()


def build(address: Address, station: Station) -> procrastinate.App:
    """Return the app by which a process takes chunks from the queue."""
    connector = _Connector(
        station,
        conninfo=address.conninfo,
        min_size=1,
        max_size=4,
        timeout=station.patience,
        kwargs={"application_name": "siliconflow-voice queue"},
    )
    app = procrastinate.App(
        connector=connector,
        worker_defaults={
            "concurrency": _CHUNKS,
            "delete_jobs": "successful",
            "fetch_job_polling_interval": 1.0,
            "listen_notify": False,
            "update_heartbeat_interval": station.lease / _BEATS,
            "stalled_worker_timeout": station.lease,
        },
    )

    @app.task(name=_CHUNK, queue=QUEUE, retry=_BackToTheQueue())
    async def upload_chunk(submission: int, number: int) -> None:
        await station.open()
        await station.carry_out(submission, number)

    # Without a lock, since a sweep can be what stalled.
    @app.periodic(cron=_EVERY_TEN_SECONDS)
    @app.task(name=_SWEEP, queue=SWEEPS, queueing_lock=_SWEEP)
    async def sweep_stalled(timestamp: int) -> None:  # noqa: ARG001 - of every periodic task
        await station.open()
        await sweep(app, station)

    del upload_chunk, sweep_stalled  # the app has them, by their names
    return app


async def sweep(app: procrastinate.App, station: Station) -> None:
    """Give the jobs of dead workers back to the queue, and a new job to each chunk that has lost its own."""
    manager = app.job_manager
    for queue in (QUEUE, SWEEPS):
        stalled = await manager.get_stalled_jobs(queue=queue, seconds_since_heartbeat=station.lease)
        for job in stalled:
            with suppress(ConnectorException):  # another process has swept it meanwhile
                if job.task_name == _CHUNK:
                    await manager.retry_job(job)
                else:
                    await manager.finish_job(job, Status.FAILED, delete_job=True)
    await station.tables.transact(_put_lost)


async def _put_lost(connection: Connection) -> None:
    lost: list[tuple[int, int]] = [(row[0], row[1]) for row in await rows_of(connection, sql.WITHOUT_JOB)]
    for (submission, number), job in zip(lost, await put(connection, lost), strict=True):
        await rows_of(connection, sql.HAS_JOB, submission=submission, number=number, job=job)


async def put(connection: Connection, chunks: Iterable[tuple[int, int]]) -> list[int]:
    """Put chunks into the queue, within a transaction; return the ids of their jobs."""
    jobs = [
        Job(
            lock=None,
            queueing_lock=None,
            task_name=_CHUNK,
            queue=QUEUE,
            task_kwargs={"submission": submission, "number": number},
        )
        for submission, number in chunks
    ]
    if not jobs:
        return []
    manager = JobManager(procrastinate.PsycopgConnector())  # on a connection that is open
    return [int(job.id or 0) for job in await manager.batch_defer_jobs_async(jobs, connection)]
