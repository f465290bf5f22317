"""Shows what a fleet is doing: live in a terminal, as lines in a log, or as JSON for a program."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import PurePath

from attrs import asdict, define, field
from rich.live import Live
from rich.text import Text

from siliconflow_voice.cli.terminal import Stdout, format_duration, shortened
from siliconflow_voice.fleet.state import FleetStatus, SubmissionStatus, WorkerStatus

__all__ = ["Overview"]

_BAR = 24


@define
class Overview:
    """Shows one state after the other."""

    stdout: Stdout
    as_json: bool = field(kw_only=True)
    _live: Live | None = field(default=None, init=False)

    @contextmanager
    def live(self) -> Generator[None, None, None]:
        """Return a scope in which each state takes the place of the one before."""
        with Live(console=self.stdout.console(), auto_refresh=False) as self._live:
            yield

    def show(self, status: FleetStatus) -> None:
        """Show a state."""
        if self.as_json:
            self.stdout.event("status", **_document(status))
        elif self._live is not None:
            self._live.update(Text("\n").join(_lines(status, drawn=True)), refresh=True)
        else:
            console = self.stdout.console()
            for line in _lines(status, drawn=False):
                console.print(line, soft_wrap=True)


def _document(status: FleetStatus) -> dict[str, object]:
    names = (
        "rows",
        "done",
        "failed",
        "cancelled",
        "left",
        "per_second",
        "requests_per_minute",
        "seconds_left",
    )
    return {
        **{name: getattr(status, name) for name in names},
        "submissions": [{**asdict(submission), "left": submission.left} for submission in status.submissions],
        "workers": [asdict(worker) for worker in status.workers],
    }


def _lines(status: FleetStatus, *, drawn: bool) -> Iterable[Text]:
    if not status.submissions:
        yield Text("Nothing was submitted: fleet submit MANIFEST", style="dim")
    for submission in status.submissions:
        yield _submission(submission, drawn=drawn)
    yield from map(_worker, status.workers)
    if not status.workers:
        yield Text("No worker is at it: fleet worker", style="yellow" if status.left else "dim")
    yield Text("   ").join(_pace(status))


def _submission(submission: SubmissionStatus, *, drawn: bool) -> Text:
    came_to = submission.done + submission.failed + submission.cancelled
    share = min(1.0, came_to / max(1, submission.rows))
    filled = int(_BAR * share)
    bar = [("━" * filled, "green"), ("━" * (_BAR - filled), "dim"), ("  ", "")] if drawn else []
    line = Text.assemble(
        (f"{submission.id:>4}  {shortened(PurePath(submission.manifest).name, 40)}  ", "bold"),
        *bar,
        f"{came_to:,} of {submission.rows:,}  {int(100 * share)}%",
    )
    if submission.failed:
        line.append(f"  {submission.failed:,} failed", style="red")
    if submission.cancelled:
        line.append(f"  {submission.cancelled:,} cancelled", style="yellow")
    return line


def _worker(worker: WorkerStatus) -> Text:
    return Text.assemble(
        f"      {shortened(worker.name, 40)}  {worker.done:,} done",
        (f"  {worker.failed:,} failed", "red" if worker.failed else "dim"),
        f"  {worker.per_second:.1f} rows/s",
        (f"  {worker.chunks} chunks, {format_duration(worker.seconds)}", "dim"),
    )


def _pace(status: FleetStatus) -> Iterable[Text]:
    yield Text(f"{status.done:,} done")
    yield Text(f"{status.failed:,} failed", style="red" if status.failed else "dim")
    yield Text(f"{status.left:,} left")
    if status.workers:
        yield Text(f"{status.per_second:.1f} rows/s")
    if status.requests_per_minute is not None:
        yield Text(f"limit {status.requests_per_minute:,.0f} requests/min")
    if status.left and status.seconds_left is not None:
        yield Text(f"about {format_duration(status.seconds_left)} left", style="cyan")
