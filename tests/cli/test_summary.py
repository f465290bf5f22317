from __future__ import annotations

from pathlib import Path
from typing import Any

from support.terminal import Paper, summary_of

from siliconflow_voice.cli.exits import Exit
from siliconflow_voice.cli.summary import Summary, print_summary


def printed(summary: Summary, **paper: Any) -> list[str]:
    shown = Paper(**paper)
    print_summary(shown.console, summary)
    return shown.lines


def test_a_run_that_is_done_is_summed_up() -> None:
    assert printed(summary_of(uploaded=8999, recovered=1, skipped=1000)) == [
        "    8,999  uploaded",
        "        1  recovered (the answer was lost; the voice was found in the account's list)",
        "    1,000  skipped (the journal has the voice)",
        "        0  failed",
        "    9,013  attempts: 9,000 accepted, 12 rate limited (429), 1 no answer",
        "  1:02:05  elapsed, 180.0 MB of audio uploaded",
        "Journal: voices.journal",
    ]


def test_a_run_that_was_stopped_says_why_and_what_is_left_and_what_to_do() -> None:
    ending = Exit(3, "HTTP 429: [red]daily[/]\x1b[31m")
    lines = printed(summary_of(ending, failures=Path("[b]f\n.csv"), uploaded=9000, failed=10))
    assert lines[4] == "      990  left"
    assert lines[7:] == [
        r"To retry failed rows, correct this manifest and run it with the same options: [b]f\n.csv",
        r"Stopped early: HTTP 429: [red]daily[/]\x1b[31m",
        "To continue from here, run the same command again.",
        "Journal: voices.journal",
    ]


def test_a_run_without_attempts_names_no_kinds() -> None:
    empty = summary_of()
    empty.stats.attempts.clear()
    assert printed(empty)[5] == "        0  attempts"


def test_a_line_is_not_broken_in_a_log() -> None:
    assert len(printed(summary_of(), width=20)) == len(printed(summary_of(), width=200))


def test_a_manifest_that_has_grown_leaves_nothing() -> None:
    assert summary_of(uploaded=10_001).left == 0


def test_for_a_program_it_is_an_object() -> None:
    ended = summary_of(Exit(3, "why"), failures=Path("f.csv"), uploaded=9000, failed=1)
    assert ended.as_json() == {
        "exit_status": 3,
        "reason": "why",
        "rows": 10_000,
        "uploaded": 9000,
        "recovered": 0,
        "skipped": 0,
        "failed": 1,
        "left": 999,
        "attempts": {"accepted": 9000, "rate_limited": 12, "overloaded": 0, "no_answer": 1, "other_error": 0},
        "bytes": 180_000_000,
        "seconds": 3725.4,
        "journal": "voices.journal",
        "failures": "f.csv",
    }


def test_without_failures_an_object_names_no_file_of_them() -> None:
    assert summary_of().as_json()["failures"] is None
