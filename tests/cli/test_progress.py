from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TypeVar

import pytest
from rich.cells import cell_len
from support.terminal import Clock, Paper, Terminal, json_lines, outcome, stdout_is

from siliconflow_voice import SettleEvent, SiliconFlowError
from siliconflow_voice.cli.progress import FailureLog, JsonProgress, LiveProgress, LogProgress, progress_on
from siliconflow_voice.cli.stats import Stats, ThrottleState
from siliconflow_voice.cli.terminal import Stdout

Shown = TypeVar("Shown", bound=LiveProgress | LogProgress)

LIMITED = ThrottleState(begun=True, in_flight=3, waiting=29, opens_in=41.6, limit=60.0, tokens=9000.0)
FAILURES = Path("voices.failures.csv")


def on(paper: Paper, kind: type[Shown], stats: Stats, title: str = "voices.csv") -> Shown:
    return kind(paper.console, stats, title, FailureLog(paper.console, FAILURES))


def test_a_terminal_is_drawn_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with stdout_is(Terminal(), monkeypatch):
        screen = progress_on(Stdout(), Stats(3), Path("voices.csv"), failures=FAILURES, as_json=False)
    assert isinstance(screen, LiveProgress)


def test_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    with stdout_is(io.StringIO(), monkeypatch):
        screen = progress_on(Stdout(), Stats(3), Path("voices\x1b[31m.csv"), failures=FAILURES, as_json=False)
    assert isinstance(screen, LogProgress)
    assert screen.title == "voices\\x1b[31m.csv"


def test_a_program_gets_json_in_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with stdout_is(Terminal(), monkeypatch):
        screen = progress_on(Stdout(), Stats(3), Path("voices.csv"), failures=FAILURES, as_json=True)
    assert isinstance(screen, JsonProgress)


def test_each_outcome_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = JsonProgress(Stdout())
    with screen.showing():
        screen.refresh(ThrottleState())
        screen.outcome(outcome(2))
        screen.outcome(outcome(3, "failed"))
    rows = json_lines(capsys.readouterr().out)
    assert [(row["event"], row["line"], row["error"]) for row in rows] == [
        ("outcome", 2, None),
        ("outcome", 3, "it went wrong."),
    ]


def test_a_line_says_how_it_stands() -> None:
    paper, clock = Paper(), Clock()
    stats = Stats(3000, now=clock)
    stats.sample(in_flight=0, limit=None)
    for line in range(1200):
        stats.outcome(outcome(line, "uploaded", size=1000))
    stats.outcome(outcome(1200, "failed"))
    clock.now = 10.0
    stats.sample(in_flight=3, limit=60.0)
    on(paper, LogProgress, stats).refresh(LIMITED)
    assert paper.text == (
        "voices.csv: 1,201 of 3,000 done, 1 failed, 3 in flight, 120.1 uploads/s, 120.0 kB/s, "
        "limit 60 requests/min, limit 9,000 tokens/min, 29 waiting for quota (next in 42 s), "
        "about 0:29:59 left\n"
    )


@pytest.mark.parametrize("kind", [LogProgress, LiveProgress])
@pytest.mark.parametrize(("uploads", "named"), [(1, "1 upload"), (1200, "1,200 uploads")])
def test_that_it_waits_for_the_last_run_is_said(
    kind: type[LiveProgress | LogProgress], uploads: int, named: str
) -> None:
    paper = Paper()
    on(paper, kind, Stats(3)).settle(SettleEvent(1, "upload_many", "voices.journal", 5.8, uploads))
    assert paper.lines == [
        f"Waiting 6 s (--settle) before looking for {named} whose result the last run did not learn."
    ]


def test_a_program_is_told_that_it_waits(capsys: pytest.CaptureFixture[str]) -> None:
    JsonProgress(Stdout()).settle(SettleEvent(1, "upload_many", "voices.journal", 5.75, 2))
    assert json_lines(capsys.readouterr().out) == [{"event": "settle", "seconds": 5.75, "uploads": 2}]


def test_how_long_it_still_waits_is_shown() -> None:
    paper, clock = Paper(terminal=True), Clock()
    stats = Stats(3, now=clock)
    stats.event(SettleEvent(1, "upload_many", "voices.journal", 6.0, 2))
    screen = on(paper, LiveProgress, stats)
    with screen.showing():
        clock.now = 4.0
        screen.refresh(ThrottleState())
        assert "waiting 2 s for the uploads of the last run" in paper.text
        clock.now = 6.0
        screen.refresh(ThrottleState())
        assert "checking the recordings, the journal and the account" in paper.text


def test_a_line_says_nothing_of_what_is_not_known() -> None:
    paper = Paper()
    on(paper, LogProgress, Stats(3)).refresh(ThrottleState())
    assert paper.lines == ["voices.csv: 0 of 3 done, 0 failed"]


def test_those_who_wait_for_their_turn_wait_for_no_quota() -> None:
    paper = Paper()
    on(paper, LogProgress, Stats(3)).refresh(ThrottleState(begun=True, in_flight=2, waiting=1))
    assert paper.lines == ["voices.csv: 0 of 3 done, 0 failed, 2 in flight, 0.0 uploads/s, 0 B/s, 1 queued"]


def test_a_line_comes_every_ten_seconds() -> None:
    paper, clock = Paper(), Clock()
    screen = on(paper, LogProgress, Stats(3, now=clock))
    with screen.showing():
        for quarter in range(121):
            clock.now = quarter / 4
            screen.refresh(ThrottleState())
    assert len(paper.lines) == 4


@pytest.mark.parametrize("screen", [LogProgress, LiveProgress])
def test_a_title_is_no_markup(screen: type[LogProgress | LiveProgress]) -> None:
    paper = Paper(terminal=screen is LiveProgress)
    shown = on(paper, screen, Stats(3), "[red]voices[/nope].csv")
    with shown.showing():
        shown.refresh(ThrottleState())
    assert "[red]voices[/nope].csv" in paper.text


@pytest.mark.parametrize("screen", [LogProgress, LiveProgress])
def test_a_failure_is_shown_with_its_line(screen: type[LogProgress | LiveProgress]) -> None:
    paper = Paper()
    shown = on(paper, screen, Stats(3))
    with shown.showing():
        shown.outcome(outcome(2))
        shown.outcome(outcome(3, "failed", error=SiliconFlowError("[red]bad[/nope] \x1b[31m :smile:")))
    assert paper.lines[0] == r"line 3 narrator: [red]bad[/nope] \x1b[31m :smile:."


def test_the_first_twenty_failures_are_shown() -> None:
    paper = Paper()
    failures = FailureLog(paper.console, FAILURES)
    for line in range(100):
        failures.show(outcome(line, "failed"))
        failures.show(outcome(line))
    assert [line.split(" ")[1] for line in paper.lines[:20]] == [str(line) for line in range(20)]
    assert paper.lines[20:] == ["Further failures are not shown; voices.failures.csv will have all."]


def test_a_failure_is_one_line_of_a_log_however_long() -> None:
    paper = Paper(width=40)
    FailureLog(paper.console, FAILURES).show(outcome(2, "failed", error=SiliconFlowError("x\n" * 150)))
    assert len(paper.lines) == 1


def halfway() -> Stats:
    """Give a run that is half done after ten seconds."""
    clock = Clock()
    stats = Stats(200, now=clock)
    stats.sample(in_flight=0, limit=None)
    for line in range(80):
        stats.outcome(outcome(line, size=10_000))
    for line in range(80, 95):
        stats.outcome(outcome(line, "skipped"))
    for line in range(95, 100):
        stats.outcome(outcome(line, "failed"))
    clock.now = 10.0
    stats.sample(in_flight=3, limit=60.0)
    return stats


def view(stats: Stats, state: ThrottleState, *, width: int = 100, title: str = "voices.csv") -> list[str]:
    """Give the lines of the latest view."""
    paper = Paper(terminal=True, width=width)
    screen = on(paper, LiveProgress, stats, title)
    with screen.showing():
        start = len(paper.text)
        screen.refresh(state)
        drawn = paper.text[start:]
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).replace("\r", "").split("\n")
    return [line.rstrip() for line in lines]


def test_it_shows_how_much_is_done_and_how_much_is_left() -> None:
    assert view(halfway(), LIMITED) == [
        f"voices.csv   {'━' * 32}   100 of 200  50%   about 0:01:40 left",
        "uploaded 80   recovered 0   skipped 15   failed 5   0:00:10 elapsed",
        "3 in flight   8.5 uploads/s   80.0 kB/s   limit 60 requests/min   limit 9,000 tokens/min",
        "29 waiting for quota (next in 42 s)",
    ]


def test_those_who_wait_for_their_turn_are_queued() -> None:
    lines = view(halfway(), ThrottleState(begun=True, in_flight=16, waiting=4))
    assert lines[2:] == ["16 in flight   8.5 uploads/s   80.0 kB/s   4 queued"]


def test_with_nobody_waiting_nothing_is_said_of_it() -> None:
    assert view(halfway(), ThrottleState(begun=True, in_flight=1))[2:] == [
        "1 in flight   8.5 uploads/s   80.0 kB/s"
    ]


def test_before_the_first_upload_it_says_what_it_looks_at() -> None:
    assert view(Stats(3, now=Clock()), ThrottleState()) == [
        f"voices.csv   {'━' * 32}   0 of 3  0%",
        "uploaded 0   recovered 0   skipped 0   failed 0   0:00:00 elapsed",
        "checking the recordings, the journal and the account",
    ]


def test_a_manifest_of_no_rows_can_be_shown() -> None:
    assert view(Stats(0), ThrottleState())[0] == f"voices.csv   {'━' * 32}   0 of 0  0%"


def test_what_is_not_all_done_is_not_a_hundred_percent() -> None:
    stats = Stats(100_000)
    stats.statuses["skipped"] = 99_999
    assert view(stats, ThrottleState())[0].endswith("99,999 of 100,000  99%")


def test_a_manifest_that_has_grown_is_no_more_than_done() -> None:
    stats = Stats(100)
    stats.statuses["uploaded"] = 101
    assert view(stats, ThrottleState())[0].endswith("101 of 100  100%")


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80])
@pytest.mark.parametrize("title", ["voices.csv", "配音" * 30])
def test_no_line_is_wider_than_the_terminal(width: int, title: str) -> None:
    assert max(map(cell_len, view(halfway(), LIMITED, width=width, title=title))) <= width


def test_a_narrow_terminal_breaks_lines_between_facts() -> None:
    assert view(halfway(), LIMITED, width=60) == [
        f"voices.csv   {'━' * 32}",
        "100 of 200  50%   about 0:01:40 left",
        "uploaded 80   recovered 0   skipped 15   failed 5",
        "0:00:10 elapsed",
        "3 in flight   8.5 uploads/s   80.0 kB/s",
        "limit 60 requests/min   limit 9,000 tokens/min",
        "29 waiting for quota (next in 42 s)",
    ]


def test_a_terminal_without_utf_8_gets_a_bar_of_hyphens(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = Paper(terminal=True)
    monkeypatch.setattr(type(paper.console), "encoding", "ascii")
    screen = on(paper, LiveProgress, halfway())
    with screen.showing():
        screen.refresh(LIMITED)
    assert ("-" * 32 in paper.text, "━" in paper.text) == (True, False)


def test_the_bar_is_green_as_far_as_it_is_done() -> None:
    paper = Paper(terminal=True)
    screen = on(paper, LiveProgress, halfway())
    bar = screen._render()
    green = [bar.plain[span.start : span.end] for span in bar.spans if span.style == "green"]
    assert green == ["━" * 16, "uploaded 80"]
