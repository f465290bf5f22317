from __future__ import annotations

import io

import pytest
from support.terminal import Clock, Paper, Terminal, json_lines, outcome, stdout_is

from siliconflow_voice import SiliconFlowError
from siliconflow_voice.cli.gates import Gates
from siliconflow_voice.cli.live import LiveScreen
from siliconflow_voice.cli.progress import JsonScreen, LinesScreen, screen_of
from siliconflow_voice.cli.screens import Failures
from siliconflow_voice.cli.streams import Stdout
from siliconflow_voice.cli.tally import Tally

LIMITED = Gates(begun=True, in_flight=3, waiting=29, opens_in=41.6, limit=60.0, tokens=9000.0)


def test_a_terminal_is_drawn_upon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with stdout_is(Terminal(), monkeypatch):
        screen = screen_of(Stdout(), Tally(3), "voices.csv", as_json=False)
    assert isinstance(screen, LiveScreen)


def test_a_log_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    with stdout_is(io.StringIO(), monkeypatch):
        screen = screen_of(Stdout(), Tally(3), "voices\x1b[31m.csv", as_json=False)
    assert isinstance(screen, LinesScreen)
    assert screen.title == "voices\\x1b[31m.csv"


def test_a_program_gets_json_in_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with stdout_is(Terminal(), monkeypatch):
        screen = screen_of(Stdout(), Tally(3), "voices.csv", as_json=True)
    assert isinstance(screen, JsonScreen)


def test_each_outcome_is_a_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    screen = JsonScreen(Stdout())
    with screen.showing():
        screen.refresh(Gates())
        screen.outcome(outcome(2))
        screen.outcome(outcome(3, "failed"))
    rows = json_lines(capsys.readouterr().out)
    assert [(row["event"], row["line"], row["error"]) for row in rows] == [
        ("outcome", 2, None),
        ("outcome", 3, "it went wrong."),
    ]


def test_a_line_says_how_it_stands() -> None:
    paper, clock = Paper(), Clock()
    tally = Tally(3000, now=clock)
    tally.gauge(in_flight=0, limit=None)
    for line in range(1200):
        tally.outcome(outcome(line, "uploaded", size=1000))
    tally.outcome(outcome(1200, "failed"))
    clock.now = 10.0
    tally.gauge(in_flight=3, limit=60.0)
    LinesScreen(paper.console, tally, "voices.csv").refresh(LIMITED)
    assert paper.text == (
        "voices.csv: 1,201 of 3,000 done, 1 failed, 3 in flight, 29 waiting, quota opens in 42 s, "
        "limit 60 requests/min, 9,000 tokens/min, 120.0 kB/s, about 0:29:59 left\n"
    )


def test_a_line_says_nothing_of_what_is_not_known() -> None:
    paper = Paper()
    LinesScreen(paper.console, Tally(3), "voices.csv").refresh(Gates())
    assert paper.lines == ["voices.csv: 0 of 3 done, 0 failed"]


def test_those_who_wait_for_their_turn_wait_for_no_quota() -> None:
    paper = Paper()
    LinesScreen(paper.console, Tally(3), "voices.csv").refresh(Gates(begun=True, in_flight=2, waiting=1))
    assert paper.lines == ["voices.csv: 0 of 3 done, 0 failed, 2 in flight, 1 waiting, 0 B/s"]


def test_a_line_comes_every_ten_seconds() -> None:
    paper, clock = Paper(), Clock()
    screen = LinesScreen(paper.console, Tally(3, now=clock), "voices.csv")
    with screen.showing():
        for quarter in range(121):
            clock.now = quarter / 4
            screen.refresh(Gates())
    assert len(paper.lines) == 4


@pytest.mark.parametrize("screen", [LinesScreen, LiveScreen])
def test_a_title_is_no_markup(screen: type[LinesScreen | LiveScreen]) -> None:
    paper = Paper(terminal=screen is LiveScreen)
    shown = screen(paper.console, Tally(3), "[red]voices[/nope].csv")
    with shown.showing():
        shown.refresh(Gates())
    assert "[red]voices[/nope].csv" in paper.text


@pytest.mark.parametrize("screen", [LinesScreen, LiveScreen])
def test_a_failure_is_shown_with_its_line(screen: type[LinesScreen | LiveScreen]) -> None:
    paper = Paper()
    shown = screen(paper.console, Tally(3), "voices.csv")
    with shown.showing():
        shown.outcome(outcome(2))
        shown.outcome(outcome(3, "failed", error=SiliconFlowError("[red]bad[/nope] \x1b[31m :smile:")))
    assert paper.lines[0] == r"line 3 narrator: [red]bad[/nope] \x1b[31m :smile:."


def test_the_first_twenty_failures_are_shown() -> None:
    paper = Paper()
    failures = Failures(paper.console)
    for line in range(100):
        failures.show(outcome(line, "failed"))
        failures.show(outcome(line))
    assert [line.split(" ")[1] for line in paper.lines[:20]] == [str(line) for line in range(20)]
    assert paper.lines[20:] == ["Further failures are only counted here: the file of failures has all."]


def test_a_failure_is_one_line_of_a_log_however_long() -> None:
    paper = Paper(width=40)
    Failures(paper.console).show(outcome(2, "failed", error=SiliconFlowError("x\n" * 150)))
    assert len(paper.lines) == 1
