from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest
from support.terminal import Broken, Paper, json_lines, summary_of

from siliconflow_voice import Manifest, QueueEvent, SettleEvent
from siliconflow_voice.cli.exits import Exit, Interruption
from siliconflow_voice.cli.outputs import Outputs
from siliconflow_voice.cli.progress import FailureLog, LogProgress
from siliconflow_voice.cli.run import Run, conclude
from siliconflow_voice.cli.stats import Stats
from siliconflow_voice.cli.terminal import Stdout


def test_a_wait_for_the_last_run_is_shown(tmp_path: Path) -> None:
    paper, stats = Paper(), Stats(3)
    progress = LogProgress(paper.console, stats, "voices.csv", FailureLog(paper.console, Path("f.csv")))
    outputs = Outputs(results=None, failures=tmp_path / "f.csv")
    run = Run(Manifest("voices.csv"), outputs, stats, progress, Stdout(), Interruption())
    run.event(QueueEvent(1, "upload_voice", "narrator", 5.0, 2))
    assert (paper.text, stats.settling) == ("", 0.0)
    run.event(SettleEvent(2, "upload_many", "voices.journal", 5.0, 2))
    assert paper.text.startswith("Waiting 5 s")
    assert stats.settling > 0


FULL = OSError(errno.ENOSPC, "No space left on device")


def test_the_summary_is_printed_and_its_status_returned(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(summary_of(Exit(1)), Stdout(), [], report=None, as_json=False) == 1
    captured = capsys.readouterr()
    assert ("Journal: voices.journal\n" in captured.out, captured.err) == (True, "")


def test_a_program_gets_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert conclude(summary_of(), Stdout(), [], report=None, as_json=True) == 0
    (event,) = json_lines(capsys.readouterr().out)
    assert event == {"event": "summary", **summary_of().as_json()}


def test_the_report_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    assert conclude(summary_of(), Stdout(), [], report=path, as_json=False) == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(("ended", "status"), [(0, 3), (1, 3), (3, 3), (130, 130)])
def test_a_summary_that_could_not_be_told_is_no_good_end(
    ended: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(FULL))
    assert conclude(summary_of(Exit(ended)), Stdout(), [], report=None, as_json=True) == status
    assert capsys.readouterr().err == (
        "siliconflow-voice: Standard output can't be written: No space left on device.\n"
    )


@pytest.mark.parametrize(("error", "reason"), [(FULL, "No space left on device"), (OSError("gone"), "gone")])
def test_a_report_that_could_not_be_written_is_no_good_end(
    error: OSError, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "open", write)
    assert conclude(summary_of(), Stdout(), [], report=Path("r.html"), as_json=False) == 3
    captured = capsys.readouterr()
    assert captured.err == f"siliconflow-voice: --report r.html can't be written: {reason}.\n"
    assert "Journal: voices.journal\n" in captured.out
