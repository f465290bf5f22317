"""Shows a run while it goes on: live in a terminal, a line now and then in a log, or JSON for a program."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from attrs import define, field
from rich.console import Console
from rich.live import Live
from rich.text import Text

from siliconflow_voice.calls.events import SettleEvent
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.outputs import FailedRow, as_row
from siliconflow_voice.cli.stats import STATUSES, Stats, ThrottleState
from siliconflow_voice.cli.terminal import Stdout, format_bytes, format_duration, is_watched, shortened
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["FailureLog", "JsonProgress", "LiveProgress", "LogProgress", "Progress", "progress_on"]

_LINE_EVERY = 10.0
_FAILURES_SHOWN = 20
_BAR = 32
_GAP = 3


class Progress(Protocol):
    """What shows a run."""

    def settle(self, event: SettleEvent) -> None:
        """Show that the run waits before it begins."""

    def outcome(self, outcome: UploadOutcome) -> None:
        """Show an outcome."""

    def refresh(self, state: ThrottleState) -> None:
        """Show the state of things; called some times a second."""

    def showing(self) -> AbstractContextManager[None]:
        """Show them within this context."""
        ...


def progress_on(stdout: Stdout, stats: Stats, manifest: Path, *, failures: Path, as_json: bool) -> Progress:
    """Return what suits standard output.

    Args:
        stdout: Where it is shown.
        stats: What has happened so far.
        manifest: The run's.
        failures: Where all failures are.
        as_json: Whether a program reads it.
    """
    if as_json:
        return JsonProgress(stdout)
    console = stdout.console()
    kind = LiveProgress if is_watched(console) else LogProgress
    return kind(console, stats, shortened(manifest.name, 60), FailureLog(console, failures))


@define
class FailureLog:
    """Prints which rows failed, and why, up to the 20th."""

    console: Console
    file: Path
    """Where all failures are."""
    _count: int = field(default=0, init=False)

    def show(self, outcome: UploadOutcome) -> None:
        """Print an outcome, if it is a failure and one of the first."""
        if outcome.error is None:
            return
        self._count += 1
        if self._count <= _FAILURES_SHOWN:
            row = FailedRow.of(outcome)
            line = Text.assemble(
                (translated("line {line} ", line=row.line), "bold"),
                f"{row.custom_name}: ",
                (row.error, "red"),
            )
            self.console.print(line, soft_wrap=True)
        elif self._count == _FAILURES_SHOWN + 1:
            name = shortened(str(self.file))
            rest = translated("Further failures are not shown; {file} will have all.", file=name)
            self.console.print(rest, style="dim")


@define
class LogProgress:
    """A line every ten seconds."""

    console: Console
    stats: Stats
    title: str
    failures: FailureLog
    _next: float = field(default=0.0, init=False)

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        yield

    def settle(self, event: SettleEvent) -> None:
        self.console.print(_settling(event), soft_wrap=True)

    def outcome(self, outcome: UploadOutcome) -> None:
        self.failures.show(outcome)

    def refresh(self, state: ThrottleState) -> None:
        if self.stats.seconds < self._next:
            return
        self._next = self.stats.seconds + _LINE_EVERY
        stats = self.stats
        facts = [
            f"{self.title}: " + translated("{done:,} of {total:,} done", done=stats.done, total=stats.total),
            translated("{count:,} failed", count=stats.statuses["failed"]),
            *(text for text, _ in _traffic(stats, state) if state.begun),
        ]
        remaining = stats.remaining()
        if remaining is not None:
            facts.append(translated("about {time} left", time=format_duration(remaining)))
        self.console.print(", ".join(facts), soft_wrap=True)


@define
class LiveProgress:
    """A few lines, drawn anew some times a second, that are gone with the end."""

    console: Console
    stats: Stats
    title: str
    failures: FailureLog
    _live: Live = field(init=False)
    _state: ThrottleState = field(factory=ThrottleState, init=False)

    def __attrs_post_init__(self) -> None:
        # Drawn from the loop: a thread of rich's own would read what is being changed.
        self._live = Live(
            console=self.console, auto_refresh=False, transient=True, get_renderable=self._render
        )

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        with self._live:
            yield

    def settle(self, event: SettleEvent) -> None:
        self.console.print(_settling(event), soft_wrap=True)

    def outcome(self, outcome: UploadOutcome) -> None:
        self.failures.show(outcome)

    def refresh(self, state: ThrottleState) -> None:
        self._state = state
        self._live.refresh()

    def _render(self) -> Text:
        width, ascii_only = self.console.width, self.console.options.ascii_only
        traffic = [Text(text, style=style) for text, style in _traffic(self.stats, self._state)]
        lines = [
            *_flow(_bar(self.stats, self.title, ascii_only=ascii_only), width),
            *_flow(_statuses(self.stats), width),
            *_flow(traffic, width),
        ]
        return Text("\n").join(lines)


@define
class JsonProgress:
    """A JSON object a line on standard output, one for each outcome."""

    stdout: Stdout

    @contextmanager
    def showing(self) -> Generator[None, None, None]:
        yield

    def settle(self, event: SettleEvent) -> None:
        self.stdout.event("settle", seconds=event.seconds, uploads=event.uploads)

    def outcome(self, outcome: UploadOutcome) -> None:
        self.stdout.event("outcome", **as_row(outcome))

    def refresh(self, state: ThrottleState) -> None:
        pass


def _settling(event: SettleEvent) -> str:
    count = event.uploads
    uploads = translated("1 upload" if count == 1 else "{count:,} uploads", count=count)
    return translated(
        "Waiting {seconds:.0f} s (--settle) before looking for {uploads} whose result the last run did not "
        "learn.",
        seconds=event.seconds,
        uploads=uploads,
    )


def _bar(stats: Stats, title: str, *, ascii_only: bool) -> Iterable[Text]:
    yield Text(title, style="bold")
    share = min(1.0, stats.done / max(1, stats.total))
    filled, stroke = int(_BAR * share), "-" if ascii_only else "━"
    yield Text.assemble((stroke * filled, "green"), (stroke * (_BAR - filled), "dim"))
    yield Text(
        translated(
            "{done:,} of {total:,}  {share}%", done=stats.done, total=stats.total, share=int(100 * share)
        )
    )
    remaining = stats.remaining()
    if remaining is not None:
        yield Text(translated("about {time} left", time=format_duration(remaining)), style="cyan")


def _statuses(stats: Stats) -> Iterable[Text]:
    for status, style in STATUSES.items():
        count = stats.statuses[status]
        yield Text(f"{translated(status)} {count:,}", style=style if count else "dim")
    yield Text(translated("{time} elapsed", time=format_duration(stats.seconds)), style="dim")


def _traffic(stats: Stats, state: ThrottleState) -> Iterable[tuple[str, str]]:
    """Yield what is under way and what holds it back, with its style."""
    if not state.begun and stats.settling:
        settling = translated(
            "waiting {seconds:.0f} s for the uploads of the last run", seconds=stats.settling
        )
        yield settling, "yellow"
        return
    if not state.begun:
        yield translated("checking the recordings, the journal and the account"), "dim"
        return
    uploads, sent = stats.rates()
    yield translated("{count} in flight", count=state.in_flight), ""
    yield translated("{rate:.1f} uploads/s", rate=uploads), ""
    yield f"{format_bytes(sent)}/s", ""
    if state.limit is not None:
        yield translated("limit {limit:,.0f} requests/min", limit=state.limit), ""
    if state.tokens is not None:
        yield translated("limit {limit:,.0f} tokens/min", limit=state.tokens), ""
    if state.closed:
        waiting = translated(
            "{count} waiting for quota (next in {seconds:.0f} s)", count=state.waiting, seconds=state.opens_in
        )
        yield waiting, "yellow"
    elif state.waiting:
        yield translated("{count} queued", count=state.waiting), "dim"


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
