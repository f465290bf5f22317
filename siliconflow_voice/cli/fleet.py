"""The commands ``fleet``: submit manifests, work on them from many machines, watch, fetch results."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, TypeAlias, TypeVar

from attrs import define, field
from cyclopts import App, Group, Parameter
from cyclopts.validators import Number

from siliconflow_voice import fleet as engine
from siliconflow_voice.cli.bulk import Addresses, Limits, Rows
from siliconflow_voice.cli.exits import ALL_DONE, BY_SIGNAL, Exit, Interruption
from siliconflow_voice.cli.options import Connection, Flag
from siliconflow_voice.cli.outputs import as_row
from siliconflow_voice.cli.overview import Overview
from siliconflow_voice.cli.progress import FailureLog
from siliconflow_voice.cli.terminal import Stdout, is_watched, shortened
from siliconflow_voice.database import Address
from siliconflow_voice.errors import ConfigurationError, SiliconFlowError
from siliconflow_voice.fleet.state import read_status
from siliconflow_voice.fleet.tables import Tables
from siliconflow_voice.signals import on_stop_signal
from siliconflow_voice.uploads.values import UploadOutcome

__all__ = ["fleet"]

T = TypeVar("T")

Database: TypeAlias = Annotated[str | None, Parameter(group=Group("Connection", sort_key=9))]
_Seconds: TypeAlias = Annotated[float, Parameter(validator=Number(gte=0))]

_ROWS, _ADDRESSES, _LIMITS, _CONNECTION = Rows(), Addresses(), Limits(), Connection()
# Seconds between two pictures of a terminal, and two lines of a log.
_REFRESH, _LINE_EVERY = 1.0, 10.0

fleet = App(name="fleet")


@fleet.command
async def submit(
    manifest: Path, /, *, json: Flag = False, database: Database = None, rows: Rows = _ROWS
) -> int:
    """Put the rows of a manifest into the queue.

    Submitting the same manifest again submits again what failed or was cancelled, and nothing else. Workers
    must have the recordings in the same folder, or be started with --root.

    Parameters
    ----------
    manifest
        The .csv, .xlsx or .jsonl file that lists the recordings.
    json
        Print one JSON object, for programs (default: off).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    rows
        How the manifest is read.
    """
    stdout = Stdout()
    submitted = await engine.submit(_url(database), rows.of(manifest))
    if json:
        stdout.event(
            "submitted",
            submission=submitted.id,
            rows=submitted.rows,
            queued=submitted.queued,
            wrong=submitted.wrong,
        )
    else:
        stdout.write(
            f"Submission {submitted.id}: {submitted.queued:,} of {submitted.rows:,} rows were queued"
        )
        stdout.write(f", {submitted.wrong:,} are wrong (see fleet failures)\n" if submitted.wrong else "\n")
    return _written(stdout)


@fleet.command
async def worker(
    *,
    until_done: Flag = False,
    deadline: _Seconds = 30.0,
    root: Path | None = None,
    settle: _Seconds = 10.0,
    json: Flag = False,
    database: Database = None,
    addresses: Addresses = _ADDRESSES,
    limits: Limits = _LIMITS,
    connection: Connection = _CONNECTION,
) -> int:
    """Upload what was submitted, as one of any number of workers, until stopped.

    The first SIGTERM or SIGINT ends it in good order: uploads under way are finished, the rest goes back to
    the queue. A second one cuts off what is under way.

    Exit status: 0 all done; 1 some rows failed; 2 invalid usage; 3 stopped by an error that would hit every
    upload (a bad key, a daily quota); 130, 143 or 129 stopped by a signal.

    Parameters
    ----------
    until_done
        End once all that was submitted is done, by this worker or others (default: off).
    deadline
        Seconds to finish what is under way after the first signal; then it is cut off.
    root
        Folder of the recordings on this machine, and nothing outside of it is read (default: where they were
        submitted).
    settle
        Seconds after a dead worker's end until an upload of it that the voice list lacks is sent again.
    json
        Print one JSON object per outcome and one at the end, for programs (default: off).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    addresses
        Which recordings may be fetched.
    limits
        How fast all workers together may be: pass the same to each.
    connection
        How the service is reached.
    """
    stdout, url = Stdout(), _url(database)
    console = stdout.console()
    shown = _Shown(stdout, FailureLog(console, Path("fleet failures")), as_json=json)
    options = engine.WorkerOptions(
        client=lambda throttle: connection.client(throttle=throttle),
        concurrency=limits.concurrency,
        requests_per_minute=limits.requests_per_minute,
        tokens_per_minute=limits.tokens_per_minute,
        root=root,
        remote=addresses.policy(),
        settle=settle,
        on_outcome=shown.outcome,
    )
    stop, interruption, error = asyncio.Event(), Interruption(), None

    def interrupt(number: int) -> None:
        interruption.signal = number
        interruption.end() if stop.is_set() else stop.set()

    if not json:
        console.print(
            f"Working on {Address.parse(url).shown} until {'all is done' if until_done else 'stopped'}"
        )
    with on_stop_signal(interrupt):
        try:
            with interruption.of_this_task():
                await engine.work(url, options, until_done=until_done, stop=stop, deadline=deadline)
        except ConfigurationError:
            raise
        except SiliconFlowError as ended:
            error = ended
    return shown.conclude(Exit.of(failed=shown.failed, error=error, signal=interruption.signal))


@fleet.command
async def status(*, watch: Flag = False, json: Flag = False, database: Database = None) -> int:
    """Show what was submitted, what is done, which workers are at it, and how long it will take.

    Parameters
    ----------
    watch
        Show it until all is done, live in a terminal (default: once).
    json
        Print JSON objects, for programs (default: off).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    """
    stdout, interruption = Stdout(), Interruption()
    overview = Overview(stdout, as_json=json)
    console = stdout.console()
    live = watch and not json and is_watched(console)
    async with Tables(Address.parse(_url(database))) as tables:
        with (
            interruption.at_signals(),
            overview.live() if live else nullcontext(),
            interruption.of_this_task(),
        ):
            while True:
                found = await read_status(tables)
                overview.show(found)
                if not watch or not found.left or stdout.error is not None:
                    break
                await asyncio.sleep(_REFRESH if live or json else _LINE_EVERY)
    _written(stdout)
    return ALL_DONE if interruption.signal is None else BY_SIGNAL + interruption.signal


@fleet.command
async def results(out: Path, /, *, submission: int | None = None, database: Database = None) -> int:
    """Write the results that there are to a .csv or .jsonl file, as bulk --results writes them.

    Parameters
    ----------
    out
        The file to write; one that exists is replaced.
    submission
        Only those of this one, by its number (default: all).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    """
    return await _to_file(engine.results(_url(database), out, submission=submission), out, "results")


@fleet.command
async def failures(out: Path, /, *, submission: int | None = None, database: Database = None) -> int:
    """Write the rows that failed to a .csv file: a manifest that, corrected, can be submitted.

    Parameters
    ----------
    out
        The file to write; one that exists is replaced.
    submission
        Only those of this one, by its number (default: all).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    """
    return await _to_file(engine.failures(_url(database), out, submission=submission), out, "failures")


@fleet.command
async def cancel(submission: int | None = None, /, *, database: Database = None) -> int:
    """Cancel what was submitted: uploads under way are finished, the rest is not begun.

    Parameters
    ----------
    submission
        Only this one, by its number (default: all).
    database
        URL of the database (default: SILICONFLOW_DATABASE_URL). Never put a password here, where all users of
        the machine can read it.
    """
    stdout = Stdout()
    stdout.write(f"{await engine.cancel(_url(database), submission):,} rows were cancelled\n")
    return _written(stdout)


@define
class _Shown:
    """What a worker shows of its outcomes, and how many there were."""

    stdout: Stdout
    failures: FailureLog
    as_json: bool = field(kw_only=True)
    done: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)

    def outcome(self, outcome: UploadOutcome) -> None:
        """Show and count an outcome."""
        if outcome.status == "failed":
            self.failed += 1
        else:
            self.done += 1
        if self.as_json:
            self.stdout.event("outcome", **as_row(outcome))
        else:
            self.failures.show(outcome)

    def conclude(self, ended: Exit) -> int:
        """Show what it came to, and return the exit status."""
        if self.as_json:
            self.stdout.event(
                "summary", exit_status=ended.status, reason=ended.reason, done=self.done, failed=self.failed
            )
        else:
            self.stdout.write(f"{self.done:>9,}  done\n{self.failed:>9,}  failed\n")
            if ended.reason is not None:
                self.stdout.write(f"Stopped: {shortened(ended.reason)}\n")
        _written(self.stdout)
        return ended.status


async def _to_file(writing: Awaitable[int], out: Path, what: str) -> int:
    stdout = Stdout()
    try:
        count = await writing
    except OSError as error:
        raise SiliconFlowError(f"{out} can't be written: {error.strerror or error}") from error
    stdout.write(f"{count:,} {what} are in {shortened(str(out))}\n")
    return _written(stdout)


def _url(database: str | None) -> str:
    url = database or os.environ.get("SILICONFLOW_DATABASE_URL")
    if not url:
        raise ConfigurationError("No database: set SILICONFLOW_DATABASE_URL, or pass --database")
    return url


def _written(stdout: Stdout) -> int:
    stdout.flush()
    if failure := stdout.failure():
        raise failure
    return ALL_DONE
