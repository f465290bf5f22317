"""What is shown of one call while it goes on."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from support.terminal import Terminal

from siliconflow_voice import AttemptEvent, OverloadedError, WaitEvent
from siliconflow_voice.cli.activity import Activity
from siliconflow_voice.models import Attempt

BUSY = OverloadedError("busy\x1b", status=503)


def activity(file: io.StringIO) -> Activity:
    terminal = isinstance(file, Terminal)
    return Activity(
        Console(file=file, force_terminal=terminal, width=100, highlight=False, legacy_windows=False)
    )


def wait(seconds: float) -> WaitEvent:
    return WaitEvent(1, "upload_voice", "narrator", seconds, BUSY)


def test_a_terminal_has_a_bar_with_the_bytes_and_is_left_clean() -> None:
    file = Terminal()
    shown = activity(file)
    with shown.showing("Uploading narrator\x1b.mp3", bar=True):
        shown.sent(500_000, 1_000_000)
        shown.event(wait(12.4))
    text = file.getvalue()
    assert "Uploading narrator\\x1b.mp3" in text
    assert "Waiting 12 s: HTTP 503: busy\\x1b" in text
    assert text.endswith("\x1b[2K")  # the bar's line is empty again


def test_without_a_bar_a_terminal_has_what_is_done() -> None:
    file = Terminal()
    with activity(file).showing("Listing voices"):
        pass
    assert "Listing voices" in file.getvalue()
    assert "bytes" not in file.getvalue()


def test_elsewhere_only_long_waits_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    file = io.StringIO()
    shown = activity(file)
    with shown.showing("Uploading narrator.mp3", bar=True):
        shown.sent(1, 2)
        shown.event(wait(0.4))
        shown.event(wait(3))
        shown.event(AttemptEvent(1, "upload_voice", "narrator", Attempt(1, 0.0, 0.1)))
    assert (file.getvalue(), capsys.readouterr().err) == (
        "",
        "siliconflow-voice: Waiting 3 s: HTTP 503: busy\\x1b\n",
    )
