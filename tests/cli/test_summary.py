from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest
from support.terminal import Broken, Clock, Paper, json_lines

from siliconflow_voice.cli.endings import Ending
from siliconflow_voice.cli.handing_in import hand_in
from siliconflow_voice.cli.streams import Stdout
from siliconflow_voice.cli.summary import Summary, print_summary
from siliconflow_voice.cli.tally import Tally

FULL = OSError(errno.ENOSPC, "No space left on device")


DONE = Ending(0)


def summary(ending: Ending = DONE, *, failures: Path | None = None, **statuses: int) -> Summary:
    clock = Clock()
    tally = Tally(10_000, now=clock)
    tally.statuses.update(statuses)  # type: ignore[arg-type] # the statuses
    tally.attempts.update({"accepted": 9000, "limited": 12, "lost": 1})
    tally.timeline.at(0.0).attempts.update(tally.attempts)
    tally.sent_bytes = 180_000_000
    clock.now = 3725.4
    return Summary(
        Path("voices.csv"),
        "https://api.siliconflow.cn/v1",
        Path("voices.journal"),
        failures,
        "with the same options",
        ending,
        tally,
    )


def printed(summary: Summary, **paper: Any) -> list[str]:
    shown = Paper(**paper)
    print_summary(shown.console, summary)
    return shown.lines


def test_a_run_that_is_done_is_summed_up() -> None:
    assert printed(summary(uploaded=8999, recovered=1, skipped=1000)) == [
        "    8,999  uploaded",
        "        1  recovered: the answer was lost, and the voice found in the account's list",
        "    1,000  skipped: the journal has their voices",
        "        0  failed",
        "    9,013  attempts: 9,000 accepted, 12 refused for the rate limit (429), 1 without an answer",
        "  1:02:05  for 180.0 MB of audio",
        "Journal: voices.journal",
    ]


def test_a_run_that_was_stopped_says_why_and_what_is_left_and_what_to_do() -> None:
    ending = Ending(3, "HTTP 429: [red]daily[/]\x1b[31m")
    lines = printed(summary(ending, failures=Path("[b]f\n.csv"), uploaded=9000, failed=10))
    assert lines[4] == "      990  left"
    assert lines[7:] == [
        r"The failures are a manifest to run again, with the same options: [b]f\n.csv",
        r"Stopped early: HTTP 429: [red]daily[/]\x1b[31m",
        "The same command goes on from here.",
        "Journal: voices.journal",
    ]


def test_a_run_without_attempts_names_no_kinds() -> None:
    empty = summary()
    empty.tally.attempts.clear()
    assert printed(empty)[5] == "        0  attempts"


def test_a_line_is_not_broken_in_a_log() -> None:
    assert len(printed(summary(), width=20)) == len(printed(summary(), width=200))


def test_a_manifest_that_has_grown_leaves_nothing() -> None:
    assert summary(uploaded=10_001).left == 0


def test_for_a_program_it_is_an_object() -> None:
    ended = summary(Ending(3, "why"), failures=Path("f.csv"), uploaded=9000, failed=1)
    assert ended.as_json() == {
        "event": "summary",
        "exit_status": 3,
        "reason": "why",
        "rows": 10_000,
        "uploaded": 9000,
        "recovered": 0,
        "skipped": 0,
        "failed": 1,
        "left": 999,
        "attempts": {"accepted": 9000, "limited": 12, "overloaded": 0, "lost": 1, "refused": 0},
        "bytes": 180_000_000,
        "seconds": 3725.4,
        "journal": "voices.journal",
        "failures": "f.csv",
    }


def test_without_failures_an_object_names_no_file_of_them() -> None:
    assert summary().as_json()["failures"] is None


def test_what_is_handed_in_is_the_summary_and_the_status(capsys: pytest.CaptureFixture[str]) -> None:
    assert hand_in(summary(Ending(1)), Stdout(), [], report=None, as_json=False) == 1
    captured = capsys.readouterr()
    assert ("Journal: voices.journal\n" in captured.out, captured.err) == (True, "")


def test_a_program_is_handed_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    assert hand_in(summary(), Stdout(), [], report=None, as_json=True) == 0
    (event,) = json_lines(capsys.readouterr().out)
    assert event == summary().as_json()


def test_the_report_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    assert hand_in(summary(), Stdout(), [], report=path, as_json=False) == 0
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(("ended", "status"), [(0, 3), (1, 3), (3, 3), (130, 130)])
def test_a_summary_that_could_not_be_told_is_no_good_end(
    ended: int, status: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(FULL))
    assert hand_in(summary(Ending(ended)), Stdout(), [], report=None, as_json=True) == status
    assert capsys.readouterr().err == (
        "siliconflow-voice: Standard output can't be written: No space left on device.\n"
    )


@pytest.mark.parametrize(("error", "reason"), [(FULL, "No space left on device"), (OSError("gone"), "gone")])
def test_a_report_that_could_not_be_written_is_no_good_end(
    error: OSError, reason: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write_text(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "write_text", write_text)
    assert hand_in(summary(), Stdout(), [], report=Path("r.html"), as_json=False) == 3
    captured = capsys.readouterr()
    assert captured.err == f"siliconflow-voice: --report r.html can't be written: {reason}.\n"
    assert "Journal: voices.journal\n" in captured.out
