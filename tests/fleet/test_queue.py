from __future__ import annotations

import signal
from pathlib import Path

import pytest
from support.fleets import Database, options, procrastinate, worker
from support.terminal import expected, names, stuck_after, until, voices

from siliconflow_voice import Manifest
from siliconflow_voice.database import Address
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import submit, work
from siliconflow_voice.fleet.queue import build, sweep
from siliconflow_voice.fleet.station import Workplace

_ADOPT = """
WITH dead AS (
    INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id
)
UPDATE procrastinate_jobs SET status = 'doing', worker_id = dead.id FROM dead
"""
_DEFER_SWEEP = """
INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args)
VALUES ('siliconflow_voice_sweeps', 'siliconflow_voice.sweep', 'siliconflow_voice.sweep', '{"timestamp": 1}')
"""


async def swept(database: Database, emulator: Emulator) -> None:
    """Sweep, as a worker does when it begins, and every ten seconds."""
    address = Address.parse(database.url)
    place = Workplace(address, options(emulator))
    queue = build(address, place)
    async with queue.open_async():
        await place.open()
        await sweep(queue, place)


async def test_the_jobs_of_dead_workers_go_back(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 20)))
    database.ask(_ADOPT)
    assert [state for state, _ in database.jobs()] == ["doing", "doing"]
    await swept(database, emulator)
    assert [state for state, _ in database.jobs()] == ["todo", "todo"]


async def test_jobs_whose_worker_was_pruned_go_back_too(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 20)))
    database.ask(_ADOPT)
    database.ask("DELETE FROM procrastinate_workers")
    await swept(database, emulator)
    assert [state for state, _ in database.jobs()] == ["todo", "todo"]


async def test_a_sweep_that_stalled_is_no_obstacle_to_the_next(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    database.ask(_DEFER_SWEEP)
    database.ask(_ADOPT)
    database.ask(_DEFER_SWEEP)
    await swept(database, emulator)
    assert [state for state, _ in database.jobs()] == ["todo"]
    [(state,)] = database.ask(
        "SELECT status::text FROM procrastinate_jobs WHERE queue_name = 'siliconflow_voice_sweeps'"
    )
    assert state == "todo"


@pytest.mark.parametrize(
    "lose", ["DELETE FROM procrastinate_jobs", "UPDATE procrastinate_jobs SET status = 'failed'"]
)
async def test_a_chunk_that_lost_its_job_gets_another(
    tmp_path: Path, database: Database, emulator: Emulator, lose: str
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 20)))
    database.ask(lose)
    await work(database.url, options(emulator), until_done=True)
    assert names(emulator) == expected(20)


async def test_jobs_of_others_in_the_same_database_are_left_alone(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 5)))
    database.ask("INSERT INTO procrastinate_jobs (queue_name, task_name) VALUES ('default', 'other')")
    database.ask(_ADOPT)
    await work(database.url, options(emulator), until_done=True)
    assert database.ask("SELECT task_name, status::text FROM procrastinate_jobs") == [("other", "doing")]


async def test_a_worker_that_is_killed_loses_nothing_and_makes_nothing_twice(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 40)))
    stuck_after(emulator, 15)
    async with worker(database.url, emulator) as command:
        await until(lambda: len(emulator.voices) >= 25)
        command.signal(signal.SIGKILL)
        await command.ended()
    emulator.clear_faults()
    await work(database.url, options(emulator, lease=0.3), until_done=True)
    assert names(emulator) == expected(40)
    assert set(database.statuses()) <= {"uploaded", "recovered", "skipped"}


async def test_a_worker_that_gets_sigterm_gives_back_what_it_has_not_begun(
    tmp_path: Path, database: Database
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 60)))
    async with Emulator(latency=0.1) as emulator:
        async with worker(database.url, emulator, "--concurrency", 2) as command:
            await until(lambda: len(emulator.voices) >= 3)
            command.signal(signal.SIGTERM)
            ended = await command.ended()
        assert (ended.status, ended.err) == (143, "")
        assert "Stopped: interrupted by SIGTERM\n" in ended.out
        assert database.statuses().count("uploaded") == len(emulator.voices) < 60
        assert {state for state, _ in database.jobs()} == {"todo"}


async def test_a_second_signal_ends_it_at_once(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 10)))
    stuck_after(emulator, 0)
    async with worker(database.url, emulator, "--deadline", 3600) as command:
        await until(lambda: len(emulator.voices) == 10)
        command.signal(signal.SIGTERM)
        command.signal(signal.SIGINT)
        ended = await command.ended()
    assert (ended.status in {130, 143}, ended.err) == (True, "")
    assert [state for state, _ in database.jobs()] == ["todo"]


async def test_procrastinate_s_own_command_works_too(
    tmp_path: Path, database: Database, emulator: Emulator
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 30)))
    async with procrastinate(database.url, emulator, tmp_path) as command:
        await until(lambda: database.chunks() == [("done", 10, 0)] * 3)
        command.signal(signal.SIGTERM)
        ended = await command.ended()
    assert (ended.status, names(emulator)) == (0, expected(30))
    assert database.jobs() == []
