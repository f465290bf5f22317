from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.fleets import Database, options
from support.postgres import MISSING, REASON, Postgres
from support.terminal import expected, names, stuck_after, until, voices

from siliconflow_voice import (
    AuthenticationError,
    ConfigurationError,
    FleetError,
    JournalError,
    Manifest,
    QuotaExhaustedError,
    RemoteAudio,
    ThrottleError,
    UploadOutcome,
)
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.fleet import Tally, WorkerOptions, app, cancel, station, status, submit, work
from siliconflow_voice.fleet import worker as worker_module


@asynccontextmanager
async def working(url: str, options: WorkerOptions, **changes: Any) -> AsyncGenerator[asyncio.Task[Tally]]:
    """Have a worker at it; whatever happens, it ends with this."""
    task = asyncio.create_task(work(url, options, **changes))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_workers_share_what_was_submitted(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    tallies = await asyncio.gather(
        *(work(database.url, options(emulator), until_done=True) for _ in range(3))
    )
    assert sum(tally.done for tally in tallies) == 60
    assert names(emulator) == expected(60)
    assert database.chunks() == [("done", 10, 0)] * 6
    assert (database.jobs(), database.ask("SELECT FROM siliconflow_voice.fleet_workers")) == ([], [])


async def test_each_outcome_is_told(tmp_path: Path, database: Database, emulator: Emulator) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 3, missing=[1])))
    told: list[UploadOutcome] = []
    tally = await work(database.url, options(emulator, on_outcome=told.append), until_done=True)
    assert (tally, sorted(outcome.status for outcome in told)) == (
        Tally(2, 1),
        ["failed", "uploaded", "uploaded"],
    )


async def test_a_recording_that_this_machine_lacks_fails_and_says_so(
    tmp_path: Path, database: Database, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.node", lambda: "machine-b")
    await submit(database.url, Manifest(voices(tmp_path, 3, missing=[1])))
    await work(database.url, options(emulator), until_done=True)
    [error] = database.errors()
    assert error.startswith(
        f"{tmp_path / 'missing-1.mp3'} can't be read: no such file or directory. It was looked"
    )
    assert " for on machine-b: see that all workers have the recordings, and pass --root " in error


async def test_recordings_may_be_in_another_folder_on_this_machine(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    path = voices(here, 2)
    path.write_text(
        path.read_text("utf-8").replace("voice.mp3,voice-0", f"{here / 'voice.mp3'},voice-0"), "utf-8"
    )
    await submit(database.url, Manifest(path))
    here.rename(there)
    await work(database.url, options(emulator, root=there), until_done=True)
    assert database.statuses() == ["uploaded"] * 2


@pytest.mark.parametrize(
    "case", [(False, False, "failed"), (True, False, "uploaded"), (True, True, "failed")]
)
async def test_a_path_out_of_the_folder_fails_unless_that_was_allowed_and_no_root_is_set(
    tmp_path: Path, database: Database, emulator: Emulator, case: tuple[bool, bool, str]
) -> None:
    (allowed, root, wanted), folder = case, tmp_path / "folder"
    folder.mkdir()
    path = voices(folder, 1)
    shutil.move(folder / "voice.mp3", tmp_path / "voice.mp3")
    path.write_text(path.read_text("utf-8").replace("voice.mp3", "../voice.mp3"), "utf-8")
    await submit(database.url, Manifest(path, allow_outside=allowed))
    await work(database.url, options(emulator, root=folder if root else None), until_done=True)
    assert database.statuses() == [wanted]


async def test_a_path_that_is_too_long_under_this_root_fails(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 1)))
    await work(database.url, options(emulator, root="r" * 5000), until_done=True)
    [error] = database.errors()
    assert error.startswith("audio: a text of 5,010 characters, not a path")


async def test_an_error_that_hits_every_upload_ends_the_worker_and_the_chunk_goes_back(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 30)))
    with pytest.raises(AuthenticationError):
        await work(database.url, options(emulator, key="sk-other"))
    assert database.chunks() == [("waiting", 0, 0)] * 3
    assert [status for status, _ in database.jobs()] == ["todo"] * 3
    await work(database.url, options(emulator), until_done=True)
    assert names(emulator) == expected(30)


async def test_a_daily_quota_ends_the_worker_and_what_was_done_is_kept(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 30)))
    emulator.add_fault(Fault.delay(0.0, times=5))
    emulator.add_fault(Fault.return_status(429, message="RPD limit reached", times=None))
    with pytest.raises(QuotaExhaustedError):
        await work(database.url, options(emulator), until_done=True)
    assert database.statuses().count("uploaded") == len(emulator.voices) == 5
    emulator.clear_faults()
    await work(database.url, options(emulator), until_done=True)
    assert database.statuses() == ["uploaded"] * 30


async def test_two_accounts_in_one_database_are_refused(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 20)))
    await work(database.url, options(emulator), until_done=True)
    await submit(database.url, Manifest(voices(tmp_path, 21, name="more.csv")))
    async with Emulator(api_key="sk-other") as other:
        with pytest.raises(JournalError, match=r"records uploads to http://127\.0\.0\.1:"):
            await work(database.url, options(other, key="sk-other"), until_done=True)
        assert other.voices == []


async def test_a_worker_of_another_version_is_refused(database: Database, emulator: Emulator) -> None:
    await status(database.url)
    database.ask("UPDATE siliconflow_voice.versions SET version = 99 WHERE part = 'fleet'")
    with pytest.raises(FleetError, match="of version 99"):
        await work(database.url, options(emulator), until_done=True)


async def test_a_worker_without_a_key_is_refused(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="API key"):
        await work(database.url, until_done=True)


async def test_a_worker_that_is_stopped_finishes_what_is_under_way_and_gives_the_rest_back(
    tmp_path: Path, database: Database
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    stop = asyncio.Event()
    async with (
        Emulator(latency=0.1) as emulator,
        working(database.url, options(emulator, concurrency=2), stop=stop) as task,
    ):
        await until(lambda: len(emulator.voices) >= 3)
        stop.set()
        tally = await task
        assert (tally.done, tally.failed) == (len(emulator.voices), 0)
        assert database.statuses().count("uploaded") == tally.done < 60
        assert {state for state, _, _ in database.chunks()} <= {"waiting", "done"}
        assert {state for state, _ in database.jobs()} == {"todo"}
        await work(database.url, options(emulator), until_done=True)
        assert names(emulator) == expected(60)


async def test_what_is_not_finished_by_the_deadline_is_cut_off_and_looked_up_by_the_next(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    stop = asyncio.Event()
    stuck_after(emulator, 4)
    async with working(database.url, options(emulator), stop=stop, deadline=0.01) as task:
        await until(lambda: len(emulator.voices) == 10)
        stop.set()
        assert (await task).done <= 4
    emulator.clear_faults()
    await work(database.url, options(emulator), until_done=True)
    assert names(emulator) == expected(10)
    assert set(database.statuses()) <= {"uploaded", "recovered", "skipped"}


async def test_a_worker_that_is_cancelled_gives_its_chunks_back(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    stuck_after(emulator, 0)
    async with working(database.url, options(emulator)) as task:
        await until(lambda: len(emulator.voices) == 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (database.chunks()[0][0], database.jobs()[0][0]) == ("waiting", "todo")
    emulator.clear_faults()
    await work(database.url, options(emulator), until_done=True)
    assert names(emulator) == expected(10)


async def test_what_is_cancelled_while_it_is_worked_on_is_not_begun_further(
    tmp_path: Path, database: Database
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    async with (
        Emulator(latency=0.1) as emulator,
        working(database.url, options(emulator, concurrency=2), until_done=True) as task,
    ):
        await until(lambda: len(emulator.voices) >= 3)
        await cancel(database.url)
        tally = await task
        assert tally.done == len(emulator.voices) < 60
        assert database.statuses().count("uploaded") == tally.done
        assert {state for state, _, _ in database.chunks()} <= {"cancelled", "done"}


async def test_a_chunk_that_another_worker_has_taken_over_is_left_to_it(
    tmp_path: Path, database: Database
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    async with (
        Emulator(latency=0.1) as emulator,
        working(database.url, options(emulator, concurrency=1), until_done=True) as task,
    ):
        await until(lambda: len(emulator.voices) >= 2)
        database.ask("UPDATE siliconflow_voice.fleet_chunks SET worker = gen_random_uuid()")
        await until(lambda: not database.jobs())
        assert len(emulator.voices) < 10
        task.cancel()
        # Its job has ended, and the chunk has not: a sweep finds that.
        await work(database.url, options(emulator), until_done=True)
        assert names(emulator) == expected(10)


async def test_a_chunk_that_comes_again_once_it_is_done_is_left(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    await work(database.url, options(emulator), until_done=True)
    database.ask(
        "INSERT INTO procrastinate_jobs (queue_name, task_name, args) VALUES "
        """('siliconflow_voice', 'siliconflow_voice.upload_chunk', '{"submission": 1, "number": 0}')"""
    )
    await submit(database.url, Manifest(voices(tmp_path, 11, name="more.csv")))
    await work(database.url, options(emulator), until_done=True)
    assert database.statuses() == ["uploaded"] * 10 + ["skipped"] * 10 + ["uploaded"]


async def test_a_worker_that_was_thought_dead_begins_anew(tmp_path: Path, database: Database) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    async with (
        Emulator(latency=0.05) as emulator,
        working(database.url, options(emulator, concurrency=2), until_done=True) as task,
    ):
        await until(lambda: len(emulator.voices) >= 5)
        database.ask("DELETE FROM procrastinate_workers")
        await task
        assert names(emulator) == expected(60)


async def test_a_recording_may_be_at_an_address_that_the_worker_allows(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    path = tmp_path / "addresses.csv"
    path.write_text("audio,custom_name,text\nhttps://audio.example/a.mp3,a,b\n", "utf-8")
    await submit(database.url, Manifest(path, remote=RemoteAudio(["audio.example"])))
    await work(database.url, options(emulator), until_done=True)
    [error] = database.errors()
    assert error.startswith("audio: is a URL: allow its host with --allow-host")


async def test_a_database_that_is_restarted_is_waited_for(tmp_path: Path) -> None:
    if MISSING:
        pytest.skip(REASON)  # pragma: no cover
    with Postgres() as server:
        url = server.create()
        await submit(url, Manifest(voices(tmp_path, 100)))
        async with (
            Emulator(latency=0.05) as emulator,
            working(url, options(emulator, concurrency=4, lease=2.0), until_done=True) as task,
        ):
            await until(lambda: len(emulator.voices) >= 10)
            server.stop()
            server.start()
            await task
            assert names(emulator) == expected(100)
        assert (await status(url)).done == 100


async def test_a_database_that_stays_away_ends_the_worker(tmp_path: Path) -> None:
    if MISSING:
        pytest.skip(REASON)  # pragma: no cover
    with Postgres() as server:
        url = server.create()
        await submit(url, Manifest(voices(tmp_path, 100)))
        async with (
            Emulator(latency=0.05) as emulator,
            working(url, options(emulator, concurrency=4, patience=0.5), until_done=True) as task,
        ):
            await until(lambda: len(emulator.voices) >= 10)
            server.stop()
            with pytest.raises((FleetError, JournalError, ThrottleError)):
                await task
            sent = len(emulator.voices)
            server.start()
            await work(url, options(emulator, lease=1.0), until_done=True)
            assert sent < 100
            assert names(emulator) == expected(100)


async def test_a_worker_of_procrastinate_s_own_does_the_same(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 25)))
    queue = app(database.url, options(emulator))
    async with queue.open_async():
        await queue.run_worker_async(wait=False, install_signal_handlers=False)
    assert names(emulator) == expected(25)
    assert database.ask("SELECT FROM siliconflow_voice.fleet_workers") == []


async def test_such_a_worker_rests_after_an_error_that_hits_every_upload(
    tmp_path: Path, database: Database, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(station, "_PAUSE", 0.0)
    await submit(database.url, Manifest(voices(tmp_path, 1)))
    queue = app(database.url, options(emulator, key="sk-other"))
    async with queue.open_async():
        running = asyncio.create_task(queue.run_worker_async(install_signal_handlers=False))
        await until(lambda: len(emulator.requests) >= 3)
        running.cancel()
        await asyncio.wait([running])
    assert (database.chunks(), database.jobs()[0][0]) == ([("waiting", 0, 0)], "todo")


def test_nothing_is_opened_before_a_worker_needs_it() -> None:
    assert "siliconflow_voice.upload_chunk" in app("postgresql://127.0.0.1:1/none").tasks
    with pytest.raises(ConfigurationError):
        app("postgresql://[")


async def test_what_goes_wrong_while_it_waits_ends_the_worker(
    tmp_path: Path, database: Database, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: object) -> None:
        raise FleetError("The database is away")

    await submit(database.url, Manifest(voices(tmp_path, 1)))
    monkeypatch.setattr(worker_module, "_all_done", away)
    with pytest.raises(FleetError, match="The database is away"):
        await work(database.url, options(emulator), until_done=True)
