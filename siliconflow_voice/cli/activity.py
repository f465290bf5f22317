"""Shows one call while it goes on, on standard error: a bar in a terminal, and a line for each long wait."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn

from siliconflow_voice.calls.events import Event, WaitEvent
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.terminal import is_watched, print_error, shortened

__all__ = ["Activity"]

_LONG = 1.0


@define
class Activity:
    """What a command does now. Outside a terminal, only waits of a second or more are shown."""

    console: Console = field(factory=lambda: Console(stderr=True, markup=False, emoji=False, highlight=False))
    _progress: Progress | None = field(default=None, init=False)
    _task: TaskID = field(default=TaskID(0), init=False)

    @contextmanager
    def showing(self, title: str, *, bar: bool = False) -> Generator[None, None, None]:
        """Show it within this context.

        Args:
            title: What is done, and with what.
            bar: Whether :meth:`sent` will tell how far it is.
        """
        if not is_watched(self.console):
            yield
            return
        columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
        if bar:
            columns += [BarColumn(), DownloadColumn()]
        with Progress(*columns, console=self.console, transient=True) as progress:
            self._task = progress.add_task(shortened(title, 60), total=None)
            self._progress = progress
            try:
                yield
            finally:
                self._progress = None

    def sent(self, sent: int, total: int | None) -> None:
        """Show how many bytes were sent; a retry starts at 0 again."""
        if self._progress is not None:
            self._progress.update(self._task, completed=sent, total=total)

    def event(self, event: Event) -> None:
        """Show a wait, if it is a long one."""
        if not isinstance(event, WaitEvent) or event.seconds < _LONG:
            return
        line = translated(
            "Waiting {seconds:.0f} s: {reason}", seconds=event.seconds, reason=event.error.summary
        )
        if self._progress is None:
            print_error(shortened(line))
        else:
            self._progress.console.print(shortened(line), soft_wrap=True)
