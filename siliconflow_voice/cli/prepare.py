"""The command ``prepare``: makes recordings fit for reference voices, beside the originals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from attrs import asdict, frozen
from cyclopts import Parameter

from siliconflow_voice.audio.preparation.prepare import prepare as prepare_audio
from siliconflow_voice.audio.preparation.values import PreparedAudio, PreparedFormat
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.options import Flag
from siliconflow_voice.cli.terminal import Stdout, format_bytes, shortened
from siliconflow_voice.errors import ConfigurationError, InvalidUploadError, SiliconFlowError

__all__ = ["prepare"]


async def prepare(
    files: list[Path],
    /,
    *,
    output: Annotated[Path, Parameter(alias="-o")],
    format: PreparedFormat = "mp3",  # noqa: A002 - the option's name
    json: Flag = False,
) -> int:
    """Make recordings of any format and length fit for reference voices. Nothing is sent.

    Each is decoded (m4a, flac, ogg, webm, a video's sound), mixed to mono, freed of silence at both ends, and
    brought to -16 LUFS. One with more than 29.5 s of sound is cut to its best 8 to 10 s, from pause to pause;
    a transcript of the whole does not fit that part. The originals stay as they are.

    Examples: `siliconflow-voice prepare interview.m4a -o references`, or
    `siliconflow-voice prepare *.mp4 --output references --format wav --json`

    Exit status: 0 all are prepared; 1 at least one can't be; 2 invalid usage; 3 standard output can't be
    written.

    Parameters
    ----------
    files
        The recordings.
    output
        Write the results to this folder, under the recordings' names; it is created if it is missing.
    format
        Encode as mp3 with 192 kbit/s, or as wav with 16 bits.
    json
        Print one JSON object per recording, for programs (default: off).
    """
    results = [output / f"{path.stem}.{format}" for path in files]
    _check(files, results, output)
    stdout = Stdout()
    failed = False
    for path, result in zip(files, results, strict=True):
        made = await _made(path, result, format)
        failed |= made.reason is not None
        if json:
            stdout.event("prepared", **made.fields())
        else:
            stdout.write(f"{shortened(str(made), 1000)}\n")
            stdout.flush()
        if failure := stdout.failure():
            raise failure
    return SOME_FAILED if failed else ALL_DONE


@frozen
class _Made:
    """A recording and what was made of it, or why nothing was."""

    path: Path
    output: Path
    prepared: PreparedAudio | None = None
    rule: str | None = None
    reason: str | None = None

    def fields(self) -> dict[str, object]:
        prepared = self.prepared
        return {
            "file": str(self.path),
            "output": prepared and str(self.output),
            "was_cut": prepared and prepared.was_cut,
            "report": prepared and {**asdict(prepared.report), "trimmed": prepared.report.trimmed},
            "rule": self.rule,
            "reason": self.reason,
        }

    def __str__(self) -> str:
        if self.prepared is None:
            return f"{self.path}: Failed: {self.reason}"
        return f"{self.path}: {_described(self.prepared)} -> {self.output}"


def _described(prepared: PreparedAudio) -> str:
    report = prepared.report
    kept = f"{report.start:.2f}-{report.end:.2f} s of {report.source_duration:.2f} s"
    what = f"cut to {kept}" if prepared.was_cut else f"kept {kept}"
    loudness = f"{_lufs(report.loudness_before)} to {_lufs(report.loudness_after)} LUFS"
    return f"{what}, {loudness}, {format_bytes(report.size)}"


def _lufs(loudness: float | None) -> str:
    return "?" if loudness is None else f"{loudness:.1f}"


async def _made(path: Path, output: Path, format: PreparedFormat) -> _Made:  # noqa: A002 - as above
    try:
        prepared = await prepare_audio(path, format=format)
        await prepared.save(output)
    except InvalidUploadError as error:
        return _Made(path, output, rule=error.rule, reason=error.reason)
    except ConfigurationError:
        raise  # it would hit every recording
    except SiliconFlowError as error:
        return _Made(path, output, rule="source", reason=error.message)
    return _Made(path, output, prepared)


def _check(files: list[Path], results: list[Path], output: Path) -> None:
    """Refuse results that would replace an original or each other, before anything is made."""
    originals = {os.path.realpath(path): path for path in files}
    taken: dict[str, Path] = {}
    for path, result in zip(files, results, strict=True):
        place = os.path.realpath(result)
        if place in originals:
            raise ConfigurationError(
                f"--output {output} would replace the recording {originals[place]}; choose another folder"
            )
        if place in taken:
            raise ConfigurationError(
                f"{taken[place]} and {path} would both become {result}; rename one, or prepare them apart"
            )
        taken[place] = path
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"--output {output} can't be created: {error.strerror or error}") from error
