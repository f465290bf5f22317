"""The end of a command: it tells what the run came to, on the terminal and in a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from siliconflow_voice.cli.endings import STOPPED
from siliconflow_voice.cli.outputs import FailedRow
from siliconflow_voice.cli.report import write_report
from siliconflow_voice.cli.streams import Stdout, complain, console_on
from siliconflow_voice.cli.summary import Summary, print_summary

__all__ = ["hand_in"]


def hand_in(
    summary: Summary, stdout: Stdout, failures: Sequence[FailedRow], *, report: Path | None, as_json: bool
) -> int:
    """Tell all; give the exit status, which is no good one if something could not be told."""
    if as_json:
        stdout.write_json(summary.as_json())
    else:
        print_summary(console_on(stdout), summary)
    problems = [str(lost)] if (lost := stdout.lost()) else []
    if report is not None:
        try:
            write_report(report, summary, failures)
        except OSError as error:
            problems.append(f"--report {report} can't be written: {error.strerror or error}.")
    for problem in problems:
        complain(problem)
    return max(summary.ending.status, STOPPED) if problems else summary.ending.status
