"""The commands ``transcribe`` and ``models``: what is spoken in recordings, and what there is to use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

from attrs import asdict

from siliconflow_voice.api.speaking import TRANSCRIBING_MODEL, ModelKind
from siliconflow_voice.bulk.tables import write_anew
from siliconflow_voice.cli.activity import Activity
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.files import check_writable
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Connection, Flag, Output
from siliconflow_voice.cli.terminal import Stdout, escaped, print_error
from siliconflow_voice.cli.wording import told
from siliconflow_voice.errors import (
    APIStatusError,
    AudioSourceError,
    BadRequestError,
    InvalidUploadError,
    PayloadTooLargeError,
    SiliconFlowError,
)

__all__ = ["models", "transcribe"]

_CONNECTION = Connection()
# What is wrong with one recording, and not with the next.
_OF_ONE_RECORDING = (AudioSourceError, BadRequestError, InvalidUploadError, PayloadTooLargeError)


async def transcribe(
    files: list[Path],
    /,
    *,
    model: str = TRANSCRIBING_MODEL,
    plain: Flag = False,
    output: Output = None,
    json: Flag = False,
    connection: Connection = _CONNECTION,
) -> int:
    """Transcribe recordings, and print what is spoken in them.

    Of one recording the text alone is printed; of several, each behind the file's name.

    For example:

        siliconflow-voice transcribe narrator.mp3
        siliconflow-voice transcribe narrator.mp3 --plain -o narrator.txt
        siliconflow-voice transcribe *.wav --json

    Exit status: 0 all transcribed, also those in which nothing was heard; 1 at least one was refused or can't
    be read; 2 invalid usage; 3 stopped early by an error that would hit every recording.

    Parameters
    ----------
    files
        The recordings: mp3, wav, m4a, webm, ogg, opus or flac; each at most 50 MB and an hour.
    model
        The model that transcribes.
    plain
        Leave out emojis, symbols and marks that the model adds (default: off).
    output
        Write the text to this file (default: standard output).
    json
        Print one JSON object per recording, for programs (default: off).
    connection
        How the service is reached.
    """
    stdout, activity, failed = Stdout(), Activity(), False
    if output is not None:
        check_writable("--output", output)
    texts: list[str] = []
    async with connection.client(on_event=activity.event) as client:
        for file in files:
            try:
                with activity.showing(translated("Transcribing {file}", file=file.name)):
                    transcript = await client.transcribe(file, model=model)
            except _OF_ONE_RECORDING as error:
                failed = True
                print_error(f"{file}: {told(error)}" if isinstance(error, APIStatusError) else told(error))
                if json:
                    stdout.event("transcript", file=str(file), text=None, error=told(error))
                continue
            text = transcript.plain if plain else transcript.text
            if not text.strip():
                print_error(translated("{file}: nothing was heard", file=file))
            texts.append(f"{text}\n" if len(files) == 1 else f"{file}: {text}\n")
            if json:
                fields = asdict(transcript) | {"text": text}
                stdout.event("transcript", file=str(file), **fields, error=None)
            elif output is None:
                stdout.write(_safe(texts[-1], stdout))
            stdout.finish()
    if output is not None and texts:
        _write(output, "".join(texts))
    return SOME_FAILED if failed else ALL_DONE


async def models(
    kind: ModelKind | None = None, /, *, json: Flag = False, connection: Connection = _CONNECTION
) -> int:
    """List the models that exist today for this key.

    For example:

        siliconflow-voice models
        siliconflow-voice models text-to-speech

    Parameters
    ----------
    kind
        Only models of this kind (default: both kinds, each model behind its kind).
    json
        Print one JSON object per model, for programs (default: off).
    connection
        How the service is reached.
    """
    stdout, activity = Stdout(), Activity()
    kinds: tuple[ModelKind, ...] = get_args(ModelKind) if kind is None else (kind,)
    async with connection.client(on_event=activity.event) as client:
        for each in kinds:
            with activity.showing(translated("Listing models")):
                found = await client.list_models(each)
            for model in found:
                if json:
                    stdout.event("model", kind=each, id=model)
                else:
                    stdout.write(f"{escaped(model)}\n" if kind else f"{each}\t{escaped(model)}\n")
    stdout.finish()
    return ALL_DONE


def _safe(text: str, stdout: Stdout) -> str:
    """Return a text as it is, or for a terminal without what that would obey."""
    return "\n".join(map(escaped, text.split("\n"))) if stdout.isatty() else text


def _write(file: Path, text: str) -> None:
    try:
        write_anew(file, text)
    except OSError as error:
        reason = error.strerror or os.fspath(file)
        raise SiliconFlowError(
            translated("--output {file} can't be written: {reason}", file=file, reason=reason)
        ) from error
