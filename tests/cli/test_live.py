from __future__ import annotations

import re

import pytest
from rich.cells import cell_len
from support.terminal import Clock, Paper, outcome

from siliconflow_voice.cli.gates import Gates
from siliconflow_voice.cli.live import LiveScreen
from siliconflow_voice.cli.tally import Tally

LIMITED = Gates(begun=True, in_flight=3, waiting=29, opens_in=41.6, limit=60.0, tokens=9000.0)


def halfway() -> Tally:
    """Give a run that is half done after ten seconds."""
    clock = Clock()
    tally = Tally(200, now=clock)
    tally.gauge(in_flight=0, limit=None)
    for line in range(80):
        tally.outcome(outcome(line, size=10_000))
    for line in range(80, 95):
        tally.outcome(outcome(line, "skipped"))
    for line in range(95, 100):
        tally.outcome(outcome(line, "failed"))
    clock.now = 10.0
    tally.gauge(in_flight=3, limit=60.0)
    return tally


def view(tally: Tally, gates: Gates, *, width: int = 100, title: str = "voices.csv") -> list[str]:
    """Give the lines of the latest view."""
    paper = Paper(terminal=True, width=width)
    screen = LiveScreen(paper.console, tally, title)
    with screen.showing():
        start = len(paper.text)
        screen.refresh(gates)
        drawn = paper.text[start:]
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn).replace("\r", "").split("\n")
    return [line.rstrip() for line in lines]


def test_it_shows_how_much_is_done_and_how_much_is_left() -> None:
    assert view(halfway(), LIMITED) == [
        f"voices.csv   {'━' * 32}   100 of 200  50%   about 0:01:40 left",
        "uploaded 80   recovered 0   skipped 15   failed 5   0:00:10 so far",
        "in flight 3   8.5 uploads/s   80.0 kB/s   limit 60 requests/min   limit 9,000 tokens/min",
        "29 wait for quota, next in 42 s",
    ]


def test_those_who_wait_for_their_turn_wait_for_no_quota() -> None:
    lines = view(halfway(), Gates(begun=True, in_flight=16, waiting=4))
    assert lines[2:] == ["in flight 16   8.5 uploads/s   80.0 kB/s   4 wait for their turn"]


def test_with_nobody_waiting_nothing_is_said_of_it() -> None:
    assert view(halfway(), Gates(begun=True, in_flight=1))[2:] == ["in flight 1   8.5 uploads/s   80.0 kB/s"]


def test_before_the_first_upload_it_says_what_it_looks_at() -> None:
    assert view(Tally(3, now=Clock()), Gates()) == [
        f"voices.csv   {'━' * 32}   0 of 3  0%",
        "uploaded 0   recovered 0   skipped 0   failed 0   0:00:00 so far",
        "looking at the recordings, the journal and the account",
    ]


def test_a_manifest_of_no_rows_can_be_shown() -> None:
    assert view(Tally(0), Gates())[0] == f"voices.csv   {'━' * 32}   0 of 0  0%"


def test_what_is_not_all_done_is_not_a_hundred_percent() -> None:
    tally = Tally(100_000)
    tally.statuses["skipped"] = 99_999
    assert view(tally, Gates())[0].endswith("99,999 of 100,000  99%")


def test_a_manifest_that_has_grown_is_no_more_than_done() -> None:
    tally = Tally(100)
    tally.statuses["uploaded"] = 101
    assert view(tally, Gates())[0].endswith("101 of 100  100%")


@pytest.mark.parametrize("width", [20, 40, 60, 79, 80])
@pytest.mark.parametrize("title", ["voices.csv", "配音" * 30])
def test_no_line_is_wider_than_the_terminal(width: int, title: str) -> None:
    assert max(map(cell_len, view(halfway(), LIMITED, width=width, title=title))) <= width


def test_a_narrow_terminal_breaks_lines_between_facts() -> None:
    assert view(halfway(), LIMITED, width=60) == [
        f"voices.csv   {'━' * 32}",
        "100 of 200  50%   about 0:01:40 left",
        "uploaded 80   recovered 0   skipped 15   failed 5",
        "0:00:10 so far",
        "in flight 3   8.5 uploads/s   80.0 kB/s",
        "limit 60 requests/min   limit 9,000 tokens/min",
        "29 wait for quota, next in 42 s",
    ]


def test_a_terminal_without_utf_8_gets_a_bar_of_hyphens(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = Paper(terminal=True)
    monkeypatch.setattr(type(paper.console), "encoding", "ascii")
    screen = LiveScreen(paper.console, halfway(), "voices.csv")
    with screen.showing():
        screen.refresh(LIMITED)
    assert ("-" * 32 in paper.text, "━" in paper.text) == (True, False)


def test_the_bar_is_green_as_far_as_it_is_done() -> None:
    paper = Paper(terminal=True)
    screen = LiveScreen(paper.console, halfway(), "voices.csv")
    bar = screen._render()
    green = [bar.plain[span.start : span.end] for span in bar.spans if span.style == "green"]
    assert green == ["━" * 16, "uploaded 80"]
