from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from support.fleets import Database, options
from support.terminal import until, voices

from siliconflow_voice import Manifest
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import FleetStatus, SubmissionStatus, WorkerStatus, cancel, status, submit, work


def working(per_second: float, limit: float | None) -> WorkerStatus:
    return WorkerStatus("a 1", 10, 0, per_second, limit, 5.0, 2)


def submitted(done: int, failed: int = 0, cancelled: int = 0) -> SubmissionStatus:
    return SubmissionStatus(1, "voices.csv", 100, 0.0, done, failed, cancelled)


@pytest.mark.parametrize(
    ("workers", "seconds"),
    [
        ([], None),
        ([working(0.0, None)], None),
        ([working(1.0, None), working(3.0, None)], 20.0),
        ([working(3.0, 60.0), working(1.0, 60.0)], 80.0),
        ([working(0.5, 60.0), working(0.0, None)], 160.0),
    ],
)
def test_what_is_left_takes_as_long_as_at_this_pace_or_at_the_limit(
    workers: list[WorkerStatus], seconds: float | None
) -> None:
    found = FleetStatus((submitted(15, 3, 2),), tuple(workers))
    assert (found.left, found.seconds_left) == (80, seconds)


def test_submissions_are_summed() -> None:
    found = FleetStatus((submitted(50, 3), submitted(20, 0, 80)), ())
    assert (found.rows, found.done, found.failed, found.cancelled, found.left) == (200, 70, 3, 80, 47)


async def test_nothing_was_submitted(database: Database) -> None:
    assert await status(database.url) == FleetStatus((), ())


async def test_what_is_done_and_failed_is_counted(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 25, missing=[3])))
    await work(database.url, options(emulator), until_done=True)
    await submit(database.url, Manifest(voices(tmp_path, 7, name="more.csv")))
    await cancel(database.url, 2)
    found = await status(database.url)
    assert [
        (one.id, one.rows, one.done, one.failed, one.cancelled, one.left) for one in found.submissions
    ] == [
        (1, 25, 24, 1, 0, 0),
        (2, 7, 0, 0, 7, 0),
    ]
    assert found.submissions[0].manifest == str(tmp_path / "voices.csv")


async def test_workers_are_seen_while_they_live(tmp_path: Path, database: Database) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    async with Emulator(latency=0.05) as emulator:
        task = asyncio.create_task(
            work(database.url, options(emulator, concurrency=2, requests_per_minute=6000), until_done=True)
        )
        try:
            await until(lambda: len(emulator.voices) >= 10)
            found = await status(database.url)
        finally:
            task.cancel()
            await asyncio.wait([task])
    [worker] = found.workers
    assert (worker.done > 0, worker.failed, worker.chunks, worker.per_second > 0) == (True, 0, 2, True)
    assert found.requests_per_minute == 6000
    assert (await status(database.url)).workers == ()
