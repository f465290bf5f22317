from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from support.fleets import Database, options
from support.terminal import (
    Broken,
    Terminal,
    expected,
    json_lines,
    names,
    run,
    started,
    stdout_is,
    stuck_after,
    table,
    until,
    voices,
)

from siliconflow_voice import Manifest
from siliconflow_voice.cli import fleet as commands
from siliconflow_voice.cli.app import execute
from siliconflow_voice.emulator import Emulator
from siliconflow_voice.fleet import submit, work

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The fleet's database, which the command finds in its environment."""
    monkeypatch.setenv("SILICONFLOW_DATABASE_URL", database_url)
    return Database(database_url)


async def fleet(*arguments: object) -> int:
    return await execute(["fleet", *map(str, arguments)])


async def test_a_manifest_is_submitted_worked_on_and_its_tables_are_written(
    tmp_path: Path, database: Database, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest = voices(tmp_path, 30, missing=[7])
    assert await fleet("submit", manifest) == 0
    assert capsys.readouterr().out == "Submission 1: 30 of 30 rows were queued\n"
    assert await fleet("worker", "--until-done") == 1
    out = capsys.readouterr().out
    assert out.startswith("Working on postgresql://127.0.0.1:")
    assert "line 9 voice-7: " in out
    assert out.endswith("       29  done\n        1  failed\n")
    assert names(emulator) == sorted(set(expected(30)) - {"voice-7"})
    assert await fleet("results", tmp_path / "r.csv") == 0
    assert await fleet("failures", tmp_path / "f.csv") == 0
    assert capsys.readouterr().out == (
        f"30 results are in {tmp_path / 'r.csv'}\n1 failures are in {tmp_path / 'f.csv'}\n"
    )
    assert [row["custom_name"] for row in table(tmp_path / "f.csv")] == ["voice-7"]


async def test_wrong_rows_are_told_when_they_are_submitted(
    tmp_path: Path, database: Database, capsys: Captured
) -> None:
    path = tmp_path / "wrong.csv"
    path.write_text("audio,custom_name,text\n,a,b\n", "utf-8")
    assert await fleet("submit", path) == 0
    assert capsys.readouterr().out.endswith("0 of 1 rows were queued, 1 are wrong (see fleet failures)\n")


async def test_all_is_there_for_programs(
    tmp_path: Path, database: Database, emulator: Emulator, address: str, capsys: Captured
) -> None:
    await fleet("submit", voices(tmp_path, 3), "--json")
    assert await fleet("worker", "--until-done", "--json") == 0
    await fleet("status", "--json", "--watch")
    events = json_lines(capsys.readouterr().out)
    assert [event["event"] for event in events] == ["submitted", *["outcome"] * 3, "summary", "status"]
    assert events[0] == {"event": "submitted", "submission": 1, "rows": 3, "queued": 3, "wrong": 0}
    assert events[4] == {"event": "summary", "exit_status": 0, "reason": None, "done": 3, "failed": 0}
    assert (events[5]["done"], events[5]["left"], events[5]["submissions"][0]["left"]) == (3, 0, 0)


async def test_cancelled_rows_are_counted(tmp_path: Path, database: Database, capsys: Captured) -> None:
    await fleet("submit", voices(tmp_path, 3))
    assert await fleet("cancel", "1") == 0
    assert await fleet("cancel") == 0
    assert capsys.readouterr().out.endswith("3 rows were cancelled\n0 rows were cancelled\n")
    assert await fleet("cancel", "2") == 2
    assert "There is no submission 2" in capsys.readouterr().err


async def test_a_bad_key_ends_the_worker_with_3(
    tmp_path: Path, database: Database, emulator: Emulator, address: str, capsys: Captured
) -> None:
    (tmp_path / "key").write_text("sk-other")
    await fleet("submit", voices(tmp_path, 3))
    assert await fleet("worker", "--api-key-file", tmp_path / "key") == 3
    assert "Stopped: HTTP 401" in capsys.readouterr().out


async def test_there_must_be_a_key_and_a_database(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    assert await fleet("worker") == 2
    assert "No API key" in capsys.readouterr().err
    monkeypatch.delenv("SILICONFLOW_DATABASE_URL")
    assert await fleet("status") == 2
    assert "No database: set SILICONFLOW_DATABASE_URL, or pass --database" in capsys.readouterr().err
    assert await fleet("status", "--database", database.url) == 0


async def test_a_database_that_is_away_is_an_error_without_its_password(capsys: Captured) -> None:
    assert await fleet("status", "--database", "postgresql://a:se-cret@127.0.0.1:1/b") == 3
    err = capsys.readouterr().err
    assert "The fleet's database postgresql://127.0.0.1:1/b can't be used: " in err
    assert "se-cret" not in err


async def test_a_table_that_can_t_be_written_is_an_error(
    tmp_path: Path, database: Database, capsys: Captured
) -> None:
    assert await fleet("results", tmp_path / "none" / "r.csv") == 3
    assert "r.csv can't be written: No such file or directory" in capsys.readouterr().err


async def test_a_fleet_s_status_is_shown_once(
    tmp_path: Path, database: Database, emulator: Emulator, capsys: Captured
) -> None:
    assert await fleet("status") == 0
    assert capsys.readouterr().out == (
        "Nothing was submitted: fleet submit MANIFEST\nNo worker is at it: fleet worker\n"
        "0 done   0 failed   0 left\n"
    )
    await submit(database.url, Manifest(voices(tmp_path, 8, missing=[1])))
    await work(database.url, options(emulator), until_done=True)
    await submit(database.url, Manifest(voices(tmp_path, 3, name="more.csv")))
    await fleet("cancel", "2")
    capsys.readouterr()
    await fleet("status")
    assert capsys.readouterr().out == (
        "   1  voices.csv  8 of 8  100%  1 failed\n   2  more.csv  3 of 3  100%  3 cancelled\n"
        "No worker is at it: fleet worker\n7 done   1 failed   0 left\n"
    )


async def test_a_fleet_s_status_is_live_in_a_terminal_until_all_is_done(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_REFRESH", 0.05)
    monkeypatch.setenv("TERM", "xterm")
    await submit(database.url, Manifest(voices(tmp_path, 40)))
    async with Emulator(latency=0.1) as emulator:
        with stdout_is(Terminal(), monkeypatch) as shown:
            working = asyncio.create_task(
                work(
                    database.url, options(emulator, concurrency=4, requests_per_minute=6000), until_done=True
                )
            )
            watching = asyncio.create_task(fleet("status", "--watch"))
            assert await watching == 0
            await working
    text = shown.getvalue()
    assert "voices.csv" in text
    assert "━" in text
    assert "rows/s" in text
    assert "limit 6,000 requests/min" in text
    assert "left" in text


async def test_a_status_that_is_watched_in_a_log_ends_at_a_signal(tmp_path: Path, database: Database) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 3)))
    async with started("fleet", "status", "--watch") as command:
        assert command.process.stdout is not None
        first = await command.process.stdout.readline()
        command.signal(signal.SIGTERM)
        ended = await command.ended()
    assert (first, ended.status, ended.err) == (b"   1  voices.csv  0 of 3  0%\n", 143, "")


async def test_a_status_that_can_t_be_shown_any_more_ends(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    await submit(database.url, Manifest(voices(tmp_path, 3)))
    with stdout_is(Broken(BrokenPipeError(32, "Broken pipe")), monkeypatch):
        assert await fleet("status", "--watch", "--json") == 3
    assert "Standard output can't be written: Broken pipe" in capsys.readouterr().err


async def test_the_worker_s_first_signal_finishes_what_is_under_way(
    tmp_path: Path, database: Database, address: str, emulator: Emulator, capsys: Captured
) -> None:
    await fleet("submit", voices(tmp_path, 4))
    running = asyncio.create_task(fleet("worker"))
    await until(lambda: len(emulator.voices) == 4)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 143
    assert "        4  done\n        0  failed\nStopped: interrupted by SIGTERM\n" in capsys.readouterr().out


async def test_the_worker_s_second_signal_cuts_it_off(
    tmp_path: Path, database: Database, address: str, emulator: Emulator, capsys: Captured
) -> None:
    await fleet("submit", voices(tmp_path, 4))
    stuck_after(emulator, 0)
    running = asyncio.create_task(fleet("worker", "--deadline", 3600))
    await until(lambda: len(emulator.voices) == 4)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: database.chunks() == [("running", 0, 0)])
    os.kill(os.getpid(), signal.SIGTERM)
    assert await running == 143
    assert (database.chunks(), database.jobs()[0][0]) == ([("waiting", 0, 0)], "todo")


async def test_without_its_extra_the_command_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "procrastinate.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'procrastinate'\", name='procrastinate')\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = await run("fleet", "status", environment={"PYTHONPATH": path})
    assert ended.status == 2
    assert ended.err == (
        "siliconflow-voice: This command needs procrastinate: install siliconflow-voice[fleet]\n"
    )
