"""The command ``bulk``: uploads all recordings of a manifest, or checks them without sending anything."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import aclosing, nullcontext
from pathlib import Path
from typing import Annotated

from attrs import asdict, evolve, frozen
from cyclopts import Group, Parameter
from cyclopts.validators import Number

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.audio.remote.policy import RemoteAudio
from siliconflow_voice.bulk.checking import CheckReport
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED, Interruption
from siliconflow_voice.cli.files import Files
from siliconflow_voice.cli.options import Connection, Count, Flag, MaybeCount, Several
from siliconflow_voice.cli.outputs import Outputs
from siliconflow_voice.cli.progress import progress_on
from siliconflow_voice.cli.run import Run, conclude
from siliconflow_voice.cli.stats import Stats
from siliconflow_voice.cli.summary import Summary
from siliconflow_voice.cli.terminal import (
    Stdout,
    format_bytes,
    format_duration,
    is_watched,
    shortened,
)
from siliconflow_voice.cli.wording import in_options
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import DEFAULT_MODEL

__all__ = ["Addresses", "Limits", "Rows", "bulk"]


@Parameter(name="*", group=Group("Addresses", sort_key=2))
@frozen
class Addresses:
    """Which recordings may be fetched."""

    allow_host: Several = ()
    """Fetch audio from this host, or for object storage from this bucket, where the manifest has an address;
    can be repeated (default: none; such rows fail)."""
    allow_scheme: Several = ("https",)
    """Fetch it by this scheme, such as s3 or http; can be repeated (default: https)."""
    allow_private: Flag = False
    """Fetch it also from this machine and private networks (default: off; such rows fail)."""

    def policy(self) -> RemoteAudio | None:
        """Return the addresses that are allowed, or None.

        Raises:
            ConfigurationError: A host or a scheme is not one.
        """
        if not self.allow_host:
            return None
        return RemoteAudio(self.allow_host, self.allow_scheme, private=self.allow_private)


@Parameter(name="*", group=Group("Manifest", sort_key=2))
@frozen
class Rows:
    """How the manifest is read."""

    model: str = DEFAULT_MODEL
    """Model for rows that don't set one."""
    encoding: Encoding = "multipart"
    """How audio is sent, for rows that don't set it."""
    manifest_encoding: str = "utf-8"
    """Text encoding of the manifest; use gb18030 for a CSV saved by Excel on Chinese Windows."""
    root: Path | None = None
    """Folder that audio paths are relative to and must stay in (default: the manifest's folder)."""
    allow_outside: Flag = False
    """Allow audio paths that lead out of that folder (default: off; such rows fail)."""
    addresses: Addresses = Addresses()

    def of(self, manifest: Path) -> Manifest:
        """Return the rows of a manifest.

        Raises:
            InvalidUploadError: It is not a supported kind of table.
            ConfigurationError: The encoding of its text is unknown, or a host or a scheme is not one.
        """
        return Manifest(
            manifest,
            encoding=self.manifest_encoding,
            root=self.root,
            allow_outside=self.allow_outside,
            remote=self.addresses.policy(),
            model=self.model,
            upload_encoding=self.encoding,
        )


@Parameter(name="*", group=Group("Limits", sort_key=3))
@frozen
class Limits:
    """How fast a run may be."""

    concurrency: Count = 16
    """Most requests in flight at once."""
    requests_per_minute: MaybeCount = None
    """The account's limit, never exceeded (default: learned, at the cost of about a dozen 429s)."""
    tokens_per_minute: MaybeCount = None
    """The account's token limit, never exceeded; a character of text counts as a token (default: learned)."""

    def throttle(self) -> Throttle:
        """Return a throttle that keeps to them."""
        return Throttle(
            max_concurrency=self.concurrency,
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )


_FILES, _ROWS, _LIMITS, _CONNECTION = Files(), Rows(), Limits(), Connection()


async def bulk(
    manifest: Path,
    /,
    *,
    check: Flag = False,
    json: Flag = False,
    settle: Annotated[float, Parameter(validator=Number(gte=0))] = 10.0,
    files: Files = _FILES,
    rows: Rows = _ROWS,
    limits: Limits = _LIMITS,
    connection: Connection = _CONNECTION,
) -> int:
    """Upload every recording listed in a manifest, and resume where an earlier run stopped.

    The manifest is a CSV, Excel (.xlsx) or JSON Lines file with the columns audio, custom_name and text, and
    optionally model and encoding.

    Run the same command again to resume: uploads that are known to be stored are not sent twice.

    Exit status: 0 all done; 1 some rows failed; 2 invalid usage; 3 stopped early by an error that would hit
    every upload (a bad key, a daily quota); 130, 143 or 129 interrupted by a signal.

    Parameters
    ----------
    manifest
        The .csv, .xlsx or .jsonl file that lists the recordings.
    check
        Check all rows and recordings, list every problem, and send nothing (default: off).
    json
        Print one JSON object per outcome and one at the end, for programs (default: off).
    settle
        Seconds after the end of the run before until an upload of it that the voice list lacks is sent again.
    files
        What it writes.
    rows
        How the manifest is read.
    limits
        How fast it may be.
    connection
        How the service is reached.
    """
    stdout = Stdout()
    source = rows.of(manifest)
    total = await source.scan()
    if check:
        return await _check(source, stdout, requests_per_minute=limits.requests_per_minute, as_json=json)
    again = files.how_to_run_again(manifest, root=rows.root, encoding=rows.manifest_encoding)
    journal, failures = files.journal_of(manifest), files.failures_of(manifest)
    files.check(manifest, connection.api_key_file)
    outputs = Outputs(results=files.results, failures=failures, columns=source.columns)
    stats, interruption = Stats(total), Interruption()
    progress = progress_on(stdout, stats, manifest, failures=failures, as_json=json)
    run = Run(source, outputs, stats, progress, stdout, interruption)
    client = connection.client(throttle=limits.throttle(), on_event=run.event)
    with interruption.at_signals():
        async with client:
            ended = await run.carry_out(client, journal, concurrency=2 * limits.concurrency, settle=settle)
        summary = Summary(manifest, client.base_url, journal, outputs.failures, again, ended, stats)
        return conclude(summary, stdout, outputs.sample, report=files.report, as_json=json)


async def _check(
    manifest: Manifest, stdout: Stdout, *, requests_per_minute: int | None, as_json: bool
) -> int:
    """Print each problem with its line and column, then the totals; return the exit status.

    Raises:
        SiliconFlowError: There is no room for temporary files, or standard output can't be written.
    """
    console = stdout.console()
    check = manifest.check()
    watched = is_watched(console) and not as_json
    with console.status("Checking all rows and recordings …") if watched else nullcontext():
        async with aclosing(aiter(check)) as problems:
            async for found in problems:
                problem = evolve(found, reason=in_options(found.reason))
                if as_json:
                    stdout.event("problem", **asdict(problem))
                else:
                    console.print(shortened(str(problem)), soft_wrap=True)
                if failure := stdout.failure():
                    raise failure
    report = check.report
    seconds = None if requests_per_minute is None else report.upload_seconds(requests_per_minute)
    if as_json:
        stdout.event("checked", **asdict(report), seconds_at_this_rate=seconds)
    else:
        for line in _totals(report, requests_per_minute, seconds):
            console.print(line, soft_wrap=True)
    if failure := stdout.failure():
        raise failure
    return SOME_FAILED if report.problems else ALL_DONE


def _totals(report: CheckReport, rate: int | None, seconds: float | None) -> Iterable[str]:
    problems = f"{report.problems:,} problem{'' if report.problems == 1 else 's'}"
    rows = f"{report.rows:,} row{'' if report.rows == 1 else 's'}"
    yield f"{rows}, {problems if report.problems else 'no problems'}. Nothing was sent."
    yield (
        f"{format_bytes(report.audio_bytes)} of audio, {_lasting(report)}; "
        f"{format_bytes(report.body_bytes)} to send."
    )
    if rate is None or seconds is None:
        yield "To estimate how long the upload takes, pass --requests-per-minute."
    else:
        yield f"At {rate:,} requests a minute, the upload takes {format_duration(seconds)}."


def _lasting(report: CheckReport) -> str:
    """Return how long the recordings last, as far as that is known."""
    if not report.audio_seconds:
        return "unmeasured"
    if not report.unmeasured:
        return format_duration(report.audio_seconds)
    return f"{format_duration(report.audio_seconds)} and {report.unmeasured:,} unmeasured"
