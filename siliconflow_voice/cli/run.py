"""Carries out a bulk run, shown and written down as it goes, and tells what it came to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from attrs import define, field

from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.bulk.run import upload_many
from siliconflow_voice.calls.events import Event, SettleEvent
from siliconflow_voice.cli.exits import STOPPED, Exit, Interruption
from siliconflow_voice.cli.outputs import FailedRow, Outputs
from siliconflow_voice.cli.progress import Progress
from siliconflow_voice.cli.report import write_report
from siliconflow_voice.cli.stats import Stats, throttle_state
from siliconflow_voice.cli.summary import Summary, print_summary
from siliconflow_voice.cli.terminal import Stdout, print_error
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import SiliconFlowError
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["Run", "conclude"]

_REFRESH = 0.25


@define
class Run:
    """A run, what came of it so far, and where that is shown and written."""

    source: Manifest
    outputs: Outputs
    stats: Stats
    progress: Progress
    stdout: Stdout
    interruption: Interruption
    _error: Exception | None = field(default=None, init=False)

    def event(self, event: Event) -> None:
        """Count an event of the client, and show it if it is the run's own."""
        self.stats.event(event)
        if isinstance(event, SettleEvent):
            self.progress.settle(event)

    async def carry_out(self, client: VoiceClient, journal: Path, *, concurrency: int, settle: float) -> Exit:
        """Upload all, or stop early at a signal or an error that every upload would meet.

        Whichever way it ends, its tables are finished.

        Raises:
            ConfigurationError: *settle* or *concurrency* is invalid.
        """
        uploads = upload_many(client, self.source, concurrency=concurrency, journal=journal, settle=settle)
        complete = False
        try:
            with self.progress.showing(), self.interruption.of_this_task():
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._watch(client.throttle))
                    try:
                        complete = await self._upload(uploads)
                    finally:
                        watching.cancel()
        finally:
            self.outputs.close(complete=complete)
        return Exit.of(
            failed=self.stats.statuses["failed"],
            error=self._error or self.outputs.error,
            signal=self.interruption.signal,
        )

    async def _upload(self, uploads: AsyncGenerator[UploadOutcome, None]) -> bool:
        """Upload all, and return whether each row has its outcome."""
        try:
            async with aclosing(uploads) as outcomes:
                async for outcome in outcomes:
                    self.stats.outcome(outcome)
                    self.outputs.write(outcome)
                    self.progress.outcome(outcome)
        except SiliconFlowError as error:
            self._error = error
            return False
        return True

    async def _watch(self, throttle: Throttle) -> None:
        """Refresh what is shown, and end the run once standard output can't be written."""
        while self.stdout.error is None:
            state = throttle_state(throttle)
            opens_in = state.opens_in if state.closed else 0.0
            self.stats.sample(in_flight=state.in_flight, limit=state.limit, opens_in=opens_in)
            self.progress.refresh(state)
            await asyncio.sleep(_REFRESH)
        self._error = self.stdout.failure()
        self.interruption.end()


def conclude(
    summary: Summary, stdout: Stdout, failures: Sequence[FailedRow], *, report: Path | None, as_json: bool
) -> int:
    """Print the summary, write the report, and return the exit status: at least 3 if either fails.

    Args:
        summary: Of the run.
        stdout: Where it is printed.
        failures: The failures that the report lists: all, or the first.
        report: The report's file, or None for none.
        as_json: Whether a program reads it.
    """
    if as_json:
        stdout.event("summary", **summary.as_json())
    else:
        print_summary(stdout.console(), summary)
    problems = [str(failure)] if (failure := stdout.failure()) else []
    if report is not None:
        try:
            write_report(report, summary, failures)
        except OSError as error:
            problems.append(f"--report {report} can't be written: {error.strerror or error}.")
    for problem in problems:
        print_error(problem)
    return max(summary.exit.status, STOPPED) if problems else summary.exit.status
