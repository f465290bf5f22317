from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Broken, bulk, expected, names, stuck_after, voices

from siliconflow_voice import Journal
from siliconflow_voice.cli.outputs import Outputs
from siliconflow_voice.cli.progress import LogProgress
from siliconflow_voice.emulator import Emulator, Fault
from siliconflow_voice.errors import SiliconFlowError

Captured = pytest.CaptureFixture[str]


async def test_a_wrong_key_stops_it_and_loses_nothing(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, results = voices(tmp_path, 5), tmp_path / "r.csv"
    await bulk(manifest, results=results)
    before = results.read_bytes()
    capsys.readouterr()
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test-of-another")
    assert await bulk(manifest, results=results) == 3
    out = capsys.readouterr().out
    assert "Stopped early: HTTP 401 (trace id " in out
    assert "        5  left\n" in out
    assert results.read_bytes() == before
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test")
    assert await bulk(manifest, results=results) == 0
    assert names(emulator) == expected(5)


async def test_a_daily_quota_stops_it_and_the_next_run_goes_on(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest = voices(tmp_path, 40)
    emulator.add_fault(Fault.return_status(429, code=50606, times=None, share=0.1))
    assert await bulk(manifest) == 3
    stored = len(emulator.voices)
    assert (0 < stored < 40, "A daily quota is used up: try again tomorrow" in capsys.readouterr().out) == (
        True,
        True,
    )
    emulator.clear_faults()
    assert await bulk(manifest) == 0
    assert names(emulator) == expected(40)


async def test_a_journal_that_is_in_use_stops_it_and_leaves_the_other_run_alone(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    manifest, results = voices(tmp_path, 5), tmp_path / "r.csv"
    results.write_text("the other run's")
    async with Journal(tmp_path / "voices.journal"):
        assert await bulk(manifest, results=results) == 3
    assert "voices.journal is in use by another run" in capsys.readouterr().out
    assert (results.read_text(), emulator.requests) == ("the other run's", [])


async def test_a_journal_of_another_account_stops_it(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = voices(tmp_path, 2)
    await bulk(manifest)
    monkeypatch.setenv("SILICONFLOW_API_KEY", "sk-test-of-another")
    async with Emulator(api_key="sk-test-of-another", account="another", port=0) as other:
        assert await bulk(manifest, base_url=other.base_url) == 3
        assert other.voices == []
    assert f"voices.journal records uploads to {address}, not to http" in capsys.readouterr().out


async def test_a_journal_in_no_folder_stops_it(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured
) -> None:
    assert await bulk(voices(tmp_path), journal=tmp_path / "none" / "j") == 3
    assert "can't be used: No such file or directory.\n" in capsys.readouterr().out


async def test_a_service_that_is_not_reached_stops_it(
    tmp_path: Path, key: None, no_backoff: None, capsys: Captured
) -> None:
    async with Emulator() as emulator:
        gone = emulator.base_url
    assert await bulk(voices(tmp_path), base_url=gone) == 3
    assert "Stopped early: No connection to 127.0.0.1" in capsys.readouterr().out


async def test_a_reader_that_leaves_stops_it_and_the_next_run_goes_on(
    tmp_path: Path,
    emulator: Emulator,
    address: str,
    capsys: Captured,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manifest = voices(tmp_path, 40)
    stuck_after(emulator, 6)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Broken(BrokenPipeError(errno.EPIPE, "Broken pipe"), after=1))
        assert await bulk(manifest, json=True) == 3
    assert capsys.readouterr().err == "siliconflow-voice: Standard output can't be written: Broken pipe.\n"
    emulator.clear_faults()
    assert await bulk(manifest, settle=0.0) == 0
    assert names(emulator) == expected(40)


async def test_a_disk_that_gets_full_stops_it_and_the_next_run_goes_on(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(*_: Any) -> None:
        raise SiliconFlowError("r.csv can't be written: No space left on device")

    manifest = voices(tmp_path, 40)
    with monkeypatch.context() as patch:
        patch.setattr(Outputs, "write", write)
        assert await bulk(manifest) == 3
    assert "Stopped early: r.csv can't be written: No space left on device.\n" in capsys.readouterr().out
    assert await bulk(manifest, settle=0.0) == 0
    assert names(emulator) == expected(40)


async def test_what_goes_wrong_in_the_command_itself_is_not_hidden(
    tmp_path: Path, emulator: Emulator, address: str, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refresh(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(LogProgress, "refresh", refresh)
    assert await bulk(voices(tmp_path), debug=True) == 3
    *traceback, last = capsys.readouterr().err.splitlines()
    assert any(line.endswith("ZeroDivisionError") for line in traceback)
    assert last.startswith("siliconflow-voice: This is a bug (ExceptionGroup(")
