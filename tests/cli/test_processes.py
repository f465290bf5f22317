from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from support.terminal import (
    Command,
    expected,
    in_a_terminal,
    json_lines,
    names,
    run,
    started,
    stuck_after,
    until,
    voices,
)

from siliconflow_voice import Journal
from siliconflow_voice.emulator import Emulator

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such terminals and pipes")


async def test_a_run_twice_is_a_run_once(tmp_path: Path, emulator: Emulator, address: str) -> None:
    manifest = voices(tmp_path, 30, missing=[7])
    first = await run("bulk", manifest)
    again = await run("bulk", manifest)
    assert [(ended.status, ended.err) for ended in (first, again)] == [(1, ""), (1, "")]
    assert names(emulator) == sorted(set(expected(30)) - {"voice-7"})


async def test_json_is_read_by_pythons_own_tool(tmp_path: Path, emulator: Emulator, address: str) -> None:
    ended = await run("bulk", voices(tmp_path, 5), "--json")
    tool = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "json.tool", "--json-lines", "--compact"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await tool.communicate(ended.out.encode())
    assert (tool.returncode, json_lines(out.decode())) == (0, json_lines(ended.out))
    assert json_lines(ended.out)[-1]["uploaded"] == 5


async def test_a_terminal_that_is_no_utf_8_is_no_reason_to_fail(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest = voices(tmp_path, 2, missing=[1], name="配音.csv")
    ascii_only = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    shown = await run("bulk", manifest, environment=ascii_only)
    assert (shown.status, r"\u914d\u97f3.csv: 0 of 2 done" in shown.out) == (1, True)
    events = await run("bulk", manifest, "--json", environment=ascii_only)
    assert (events.status, {event.get("text") for event in json_lines(events.out)}) == (
        1,
        {"第 0 句", "第 1 句", None},
    )


@posix
async def test_a_file_name_that_is_no_text_is_no_reason_to_fail(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    folder.mkdir()  # noqa: ASYNC240 - a moment
    manifest = voices(folder, 2, missing=[1])
    ended = await run("bulk", manifest, "--results", folder / "r.csv", "--report", folder / "r.html")
    assert (ended.status, ended.err) == (1, "")
    assert r"\udcff/missing-1.mp3 can't be read" in (folder / "r.csv").read_text(encoding="utf-8")


@posix
async def test_a_reader_that_leaves_gets_a_reason_and_no_traceback(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    async with started("bulk", voices(tmp_path, 40), "--json", stdout=writing) as command:
        os.close(writing)
        ended = await ended_without_output(command)
    assert ended == (3, "siliconflow-voice: Standard output can't be written: Broken pipe.\n")


async def ended_without_output(command: Command) -> tuple[int | None, str]:
    _, err = await command.process.communicate()
    return command.process.returncode, err.decode()


@posix
async def test_streams_that_are_closed_are_no_reason_to_fail(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    closing = (
        "import os, sys; os.closerange(0, 3); "
        "os.execv(sys.executable, [sys.executable, '-m', 'siliconflow_voice', *sys.argv[1:]])"
    )
    ended = await run("bulk", voices(tmp_path, 3), python=("-c", closing))
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    assert names(emulator) == expected(3)


@posix
async def test_a_second_run_at_once_is_refused_and_disturbs_nothing(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest, results = voices(tmp_path, 10), tmp_path / "r.jsonl"
    stuck_after(emulator, 9)
    async with started("bulk", manifest, "--results", results) as command:
        await until(lambda: len(emulator.voices) == 10)
        other = await run("bulk", manifest, "--results", results)
        command.signal(signal.SIGINT)
        ended = await command.ended()
    assert (ended.status, other.status) == (130, 3)
    assert "is in use by another run.\n" in other.out
    assert len(json_lines(results.read_text(encoding="utf-8"))) == 9
    assert names(emulator) == expected(10)


async def test_a_key_comes_from_a_file(tmp_path: Path, emulator: Emulator, address: str) -> None:
    (tmp_path / "key").write_text("sk-test\n")
    ended = await run(
        "bulk",
        voices(tmp_path, 1),
        "--api-key-file",
        tmp_path / "key",
        environment={"SILICONFLOW_API_KEY": ""},
    )
    assert (ended.status, ended.err) == (0, "")


async def test_without_a_key_and_a_terminal_it_does_not_ask(tmp_path: Path, address: str) -> None:
    ended = await run("bulk", voices(tmp_path, 1), environment={"SILICONFLOW_API_KEY": ""})
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.startswith("siliconflow-voice: No API key: ")


@posix
async def test_in_a_terminal_it_asks_for_the_key_and_shows_the_run_live(
    tmp_path: Path, emulator: Emulator, address: str
) -> None:
    manifest = voices(tmp_path, 5, missing=[3])
    status, shown = await in_a_terminal(b"sk-test\n", "bulk", str(manifest))
    assert status == 1
    assert names(emulator) == sorted(set(expected(5)) - {"voice-3"})
    assert ("SiliconFlow API key: " in shown, "sk-test" in shown) == (True, False)
    assert ("\x1b[" in shown, "━" in shown, "uploaded" in shown) == (True, True, True)
    async with Journal(tmp_path / "voices.journal") as journal:
        assert (await journal.counts())["uploaded"] == 4


@posix
@pytest.mark.parametrize(("typed", "status"), [(b"\x03", 130), (b"\x04", 2)])
async def test_a_terminal_that_gives_no_key_gets_no_run(
    tmp_path: Path, emulator: Emulator, address: str, typed: bytes, status: int
) -> None:
    assert (await in_a_terminal(typed, "bulk", str(voices(tmp_path, 5))))[0] == status
    assert emulator.requests == []
