"""Shows a run while it goes on: live in a terminal, a line now and then elsewhere, or nothing but JSON."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from attrs import define, field
from rich.console import Console

from siliconflow_voice.cli.gates import Gates
from siliconflow_voice.cli.live import LiveScreen
from siliconflow_voice.cli.outputs import as_row
from siliconflow_voice.cli.screens import Failures, Screen
from siliconflow_voice.cli.streams import Stdout, console_on, is_watched
from siliconflow_voice.cli.tally import Tally
from siliconflow_voice.cli.words import amount, brief, clock
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["JsonScreen", "LinesScreen", "screen_of"]

_LINE_EVERY = 10.0


def screen_of(stdout: Stdout, tally: Tally, name: str, *, as_json: bool) -> Screen:
    """Choose what suits where it is shown.

    Args:
        stdout: Where that is.
        tally: What has happened so far.
        name: The manifest's.
        as_json: Whether a program reads it.
    """
    if as_json:
        return JsonScreen(stdout)
    console, title = console_on(stdout), brief(name, 60)
    return (LiveScreen if is_watched(console) else LinesScreen)(console, tally, title)


@define
class LinesScreen:
    """A line every ten seconds, for logs."""

    console: Console
    tally: Tally
    title: str
    _next: float = field(default=0.0, init=False)
    _failures: Failures = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._failures = Failures(self.console)

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        yield

    def outcome(self, outcome: UploadOutcome) -> None:
        self._failures.show(outcome)

    def refresh(self, gates: Gates) -> None:
        if self.tally.seconds < self._next:
            return
        self._next = self.tally.seconds + _LINE_EVERY
        tally = self.tally
        parts = [
            f"{self.title}: {tally.done:,} of {tally.total:,} done",
            f"{tally.statuses['failed']:,} failed",
        ]
        if gates.begun:
            parts += [f"{gates.in_flight} in flight", f"{gates.waiting} waiting"]
        if gates.closed:
            parts.append(f"quota opens in {gates.opens_in:.0f} s")
        if gates.limit is not None:
            parts.append(f"limit {gates.limit:,.0f} requests/min")
        if gates.tokens is not None:
            parts.append(f"{gates.tokens:,.0f} tokens/min")
        if gates.begun:
            parts.append(f"{amount(tally.rates()[1])}/s")
        remaining = tally.remaining()
        if remaining is not None:
            parts.append(f"about {clock(remaining)} left")
        self.console.print(", ".join(parts), soft_wrap=True)


@define
class JsonScreen:
    """A JSON object a line on standard output, one for each outcome."""

    stdout: Stdout

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        yield

    def outcome(self, outcome: UploadOutcome) -> None:
        self.stdout.write_json({"event": "outcome", **as_row(outcome)})

    def refresh(self, gates: Gates) -> None:
        pass
