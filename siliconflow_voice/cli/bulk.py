"""The command ``bulk``: uploads all recordings of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from siliconflow_voice.api.requests import Encoding
from siliconflow_voice.bulk.manifest import Manifest
from siliconflow_voice.cli.check import check
from siliconflow_voice.cli.endings import BAD_USAGE, STOPPED
from siliconflow_voice.cli.files import check_files, failures_of, how_to_run_again, journal_of
from siliconflow_voice.cli.handing_in import hand_in
from siliconflow_voice.cli.keys import find_key
from siliconflow_voice.cli.outputs import Outputs
from siliconflow_voice.cli.progress import screen_of
from siliconflow_voice.cli.running import Run
from siliconflow_voice.cli.signals import Interruption
from siliconflow_voice.cli.streams import Stdout, complain
from siliconflow_voice.cli.summary import Summary
from siliconflow_voice.cli.tally import Tally
from siliconflow_voice.client import VoiceClient
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, SiliconFlowError
from siliconflow_voice.throttle.throttle import Throttle
from siliconflow_voice.uploads.values import DEFAULT_MODEL

__all__ = ["bulk"]

_FLAG = Parameter(negative=(), show_default=False)
_COUNT = Parameter(validator=Number(gte=1))


async def bulk(
    manifest: Path,
    /,
    *,
    journal: Path | None = None,
    check_only: Annotated[bool, Parameter(name="--check", negative=(), show_default=False)] = False,
    results: Path | None = None,
    failures: Path | None = None,
    report: Path | None = None,
    json: Annotated[bool, _FLAG] = False,
    concurrency: Annotated[int, _COUNT] = 16,
    requests_per_minute: Annotated[int | None, _COUNT] = None,
    tokens_per_minute: Annotated[int | None, _COUNT] = None,
    model: str = DEFAULT_MODEL,
    encoding: Encoding = "multipart",
    manifest_encoding: str = "utf-8",
    root: Path | None = None,
    allow_outside: Annotated[bool, _FLAG] = False,
    api_key_file: Path | None = None,
    base_url: str | None = None,
    settle: Annotated[float, Parameter(validator=Number(gte=0))] = 10.0,
) -> int:
    """Upload all recordings of a manifest, and go on where an earlier run ended.

    The manifest is a CSV or JSON Lines file with the columns audio, custom_name and text, and optionally
    model and encoding. The key comes from SILICONFLOW_API_KEY, a file, or a prompt.

    Exit status: 0 if all is done, 1 if some failed, 2 for bad usage, 3 if the run was stopped early, 130, 143
    or 129 if it was interrupted. The same command then goes on, and sends nothing again that is known to be
    there.

    Parameters
    ----------
    manifest
        A .csv, .jsonl or .ndjson file.
    journal
        What was sent and what came of it; by default beside the manifest: NAME.journal, for
        NAME.failures.csv too.
    check_only
        Look at all rows and recordings, say what is wrong with them, and send nothing.
    results
        Write all outcomes to a .csv or .jsonl file.
    failures
        Where failures go, as a manifest to run again; by default beside the manifest: NAME.failures.csv.
    report
        Write an HTML report, with a timeline.
    json
        Write a JSON object for each outcome, and one for the end, to standard output.
    concurrency
        The most requests under way at once.
    requests_per_minute
        The account's limit, if you know it; it is learned otherwise.
    tokens_per_minute
        Likewise; a character of the text is taken for a token.
    model
        For rows that name none.
    encoding
        For rows that name none.
    manifest_encoding
        Of the manifest's text: gb18030 for what Excel saves on Chinese Windows.
    root
        What paths are relative to, and must stay in; by default the manifest's folder.
    allow_outside
        Take recordings from anywhere.
    api_key_file
        A file with nothing in it but the key.
    base_url
        The API's address; by default SILICONFLOW_BASE_URL, or the cloud in China.
    settle
        Seconds since the end of an earlier run after which a voice that is not listed is taken not to exist.
    """
    stdout = Stdout()
    try:
        source = Manifest(
            manifest,
            encoding=manifest_encoding,
            root=root,
            allow_outside=allow_outside,
            model=model,
            upload_encoding=encoding,
        )
        total = await source.scan()
        if check_only:
            return await check(source, stdout, requests_per_minute=requests_per_minute, as_json=json)
        path, failures = journal or journal_of(manifest), failures or failures_of(manifest)
        check_files(
            {"the manifest": manifest, "--journal": path, "--api-key-file": api_key_file},
            {"--results": results, "--failures": failures, "--report": report},
        )
        throttle = Throttle(
            max_concurrency=concurrency,
            requests_per_minute=requests_per_minute,
            tokens_per_minute=tokens_per_minute,
        )
        tally, interruption = Tally(total), Interruption()
        screen = screen_of(stdout, tally, manifest.name, as_json=json)
        client = VoiceClient(
            find_key(api_key_file), base_url=base_url, throttle=throttle, on_event=tally.event
        )
        again = how_to_run_again(failures, manifest, path, root=root, encoding=manifest_encoding)
        with interruption.catching():
            with Outputs(results=results, failures=failures) as outputs:
                run = Run(source, throttle, outputs, tally, screen, stdout, interruption)
                async with client:
                    ending = await run.carry_out(client, path, concurrency=2 * concurrency, settle=settle)
            summary = Summary(manifest, client.base_url, path, outputs.failures, again, ending, tally)
            return hand_in(summary, stdout, outputs.sample, report=report, as_json=json)
    except (ConfigurationError, InvalidUploadError) as error:
        complain(str(error))
        return BAD_USAGE
    except SiliconFlowError as error:
        complain(str(error))
        return STOPPED
