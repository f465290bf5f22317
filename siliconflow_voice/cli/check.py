"""The option ``--check``: looks at all rows and recordings, and sends nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from attrs import asdict

from siliconflow_voice.bulk.checking import CheckReport, Problem, check_manifest
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.cli.endings import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.streams import Stdout, console_on, is_watched
from siliconflow_voice.cli.words import amount, brief, clock

__all__ = ["check"]


async def check(manifest: Manifest, stdout: Stdout, *, requests_per_minute: int | None, as_json: bool) -> int:
    """Print each problem with its line and column, then the totals; give the exit status.

    Raises:
        SiliconFlowError: There is no room for temporary files, or nobody reads on.
    """
    console = console_on(stdout)

    def show(problem: Problem) -> None:
        if as_json:
            stdout.write_json({"event": "problem", **asdict(problem)})
        else:
            console.print(brief(str(problem)), soft_wrap=True)
        if lost := stdout.lost():
            raise lost

    watched = is_watched(console) and not as_json
    with console.status("Looking at all rows and recordings …") if watched else nullcontext():
        report = await check_manifest(manifest, on_problem=show)
    seconds = None if requests_per_minute is None else report.rows / requests_per_minute * 60
    if as_json:
        stdout.write_json({"event": "checked", **asdict(report), "seconds_at_this_rate": seconds})
    else:
        _print(lambda line: console.print(line, soft_wrap=True), report, requests_per_minute, seconds)
    if lost := stdout.lost():
        raise lost
    return SOME_FAILED if report.problems else ALL_DONE


def _print(
    write: Callable[[str], object], report: CheckReport, rate: int | None, seconds: float | None
) -> None:
    problems = f"{report.problems:,} problem{'' if report.problems == 1 else 's'}"
    rows = f"{report.rows:,} row{'' if report.rows == 1 else 's'}"
    write(f"{rows}, {problems if report.problems else 'no problems'}. Nothing was sent.")
    unmeasured = f" ({report.unmeasured:,} of unknown length)" if report.unmeasured else ""
    write(
        f"{amount(report.audio_bytes)} of audio, {clock(report.audio_seconds)}{unmeasured}; "
        f"{amount(report.body_bytes)} to send."
    )
    if rate is None or seconds is None:
        write("For the time that it will take, give --requests-per-minute.")
    else:
        write(f"At {rate:,} requests a minute it takes {clock(seconds)}.")
