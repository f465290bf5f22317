"""A run in a terminal: a few lines, drawn anew some times a second."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager

from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.text import Text

from siliconflow_voice.cli.gates import Gates
from siliconflow_voice.cli.screens import Failures
from siliconflow_voice.cli.tally import STYLES, Tally
from siliconflow_voice.cli.words import amount, clock
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["LiveScreen"]

_BAR = 32
_GAP = 3


@define
class LiveScreen:
    """A few lines that are gone with the end."""

    console: Console
    tally: Tally
    title: str
    _live: Live = field(init=False)
    _gates: Gates = field(factory=Gates, init=False)
    _failures: Failures = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._failures = Failures(self.console)
        # Drawn from the loop: a thread of rich's own would read what is being changed.
        self._live = Live(
            console=self.console, auto_refresh=False, transient=True, get_renderable=self._render
        )

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        with self._live:
            yield

    def outcome(self, outcome: UploadOutcome) -> None:
        self._failures.show(outcome)

    def refresh(self, gates: Gates) -> None:
        self._gates = gates
        self._live.refresh()

    def _render(self) -> Text:
        width = self.console.width
        ascii_only = self.console.options.ascii_only
        lines = [
            *_flow(_head(self.tally, self.title, ascii_only=ascii_only), width),
            *_flow(_statuses(self.tally), width),
            *_flow(_traffic(self.tally, self._gates), width),
        ]
        return Text("\n").join(lines)


def _head(tally: Tally, title: str, *, ascii_only: bool) -> Iterable[Text]:
    yield Text(title, style="bold")
    share = min(1.0, tally.done / max(1, tally.total))
    filled, stroke = int(_BAR * share), "-" if ascii_only else "━"
    yield Text.assemble((stroke * filled, "green"), (stroke * (_BAR - filled), "dim"))
    yield Text(f"{tally.done:,} of {tally.total:,}  {int(100 * share)}%")
    remaining = tally.remaining()
    if remaining is not None:
        yield Text(f"about {clock(remaining)} left", style="cyan")


def _statuses(tally: Tally) -> Iterable[Text]:
    for status, style in STYLES.items():
        count = tally.statuses[status]
        yield Text(f"{status} {count:,}", style=style if count else "dim")
    yield Text(f"{clock(tally.seconds)} so far", style="dim")


def _traffic(tally: Tally, gates: Gates) -> Iterable[Text]:
    if not gates.begun:
        yield Text("looking at the recordings, the journal and the account", style="dim")
        return
    uploads, sent = tally.rates()
    yield Text(f"in flight {gates.in_flight}")
    yield Text(f"{uploads:.1f} uploads/s")
    yield Text(f"{amount(sent)}/s")
    if gates.limit is not None:
        yield Text(f"limit {gates.limit:,.0f} requests/min")
    if gates.tokens is not None:
        yield Text(f"limit {gates.tokens:,.0f} tokens/min")
    if gates.closed:
        yield Text(f"{gates.waiting} wait for quota, next in {gates.opens_in:.0f} s", style="yellow")
    elif gates.waiting:
        yield Text(f"{gates.waiting} wait for their turn", style="dim")


def _flow(parts: Iterable[Text], width: int) -> Iterable[Text]:
    """Put parts side by side, as many as a line has room for."""
    line = Text()
    for part in parts:
        if line and line.cell_len + _GAP + part.cell_len > width:
            yield line
            line = Text()
        line.append(" " * _GAP if line else "").append_text(part)
        line.truncate(width, overflow="ellipsis")
    yield line
