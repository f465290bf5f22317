"""The commands ``speak``, ``transcribe`` and ``models``: voices that are used."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, TypeAlias, cast, get_args

from attrs import asdict
from cyclopts import Parameter

from siliconflow_voice.api.speaking import TRANSCRIBING_MODEL, ModelKind
from siliconflow_voice.audio.inspection import inspect_audio
from siliconflow_voice.bulk.tables import write_anew
from siliconflow_voice.cli.activity import Activity
from siliconflow_voice.cli.exits import ALL_DONE, SOME_FAILED
from siliconflow_voice.cli.files import check_writable
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Connection, Flag
from siliconflow_voice.cli.terminal import Stdout, escaped, format_bytes, print_error, shortened
from siliconflow_voice.cli.texts import STANDARD_STREAM, read_stdin
from siliconflow_voice.cli.wording import told
from siliconflow_voice.errors import (
    APIStatusError,
    AudioSourceError,
    BadRequestError,
    ConfigurationError,
    InvalidUploadError,
    PayloadTooLargeError,
    SiliconFlowError,
)
from siliconflow_voice.speech.parameters import Reference, ResponseFormat
from siliconflow_voice.speech.speech import Speech

__all__ = ["models", "speak", "transcribe"]


def _no_option(_kind: object, value: Path | None) -> None:
    """Refuse an option in place of a file: ``-`` alone is allowed to look like one."""
    if value is not None and str(value).startswith("-") and str(value) != STANDARD_STREAM:
        raise ValueError(translated("{value} is an option, not a file", value=value))


Output: TypeAlias = Annotated[
    Path | None,
    Parameter(name=["--output", "-o"], allow_leading_hyphen=True, validator=_no_option),
]

_CONNECTION = Connection()
_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
# What is wrong with one recording, and not with the next.
_OF_ONE_RECORDING = (AudioSourceError, BadRequestError, InvalidUploadError, PayloadTooLargeError)
_SAMPLE_BYTES = 2


async def speak(
    text: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    voice: str | None = None,
    output: Output = None,
    response_format: Annotated[ResponseFormat | None, Parameter(name="--format")] = None,
    sample_rate: int | None = None,
    speed: float = 1.0,
    gain: float = 0.0,
    model: str | None = None,
    reference: Annotated[list[Path] | None, Parameter(negative=())] = None,
    reference_text: Annotated[list[str] | None, Parameter(negative=())] = None,
    json: Flag = False,
    connection: Connection = _CONNECTION,
) -> int:
    """Speak a text, into a file or to a player.

    A file is there when all of it has come, and not before. Standard output has nothing but the audio, as it
    arrives.

    For example:

        siliconflow-voice speak '慢工出细活' --voice speech:narrator:account:token -o patience.mp3
        siliconflow-voice speak '你好' --voice alex --format wav | ffplay -autoexit -nodisp -
        siliconflow-voice speak - --voice alex -o chapter.mp3 < chapter.txt
        siliconflow-voice speak '你好' --reference me.mp3 --reference-text '慢工出细活' -o hello.wav

    Exit status: 0 spoken; 2 invalid usage: nothing was sent; 3 it failed, and there is no file.

    Parameters
    ----------
    text
        What to speak, or - to read it from standard input.
    voice
        The uri of a voice, or a preset's name: alex, anna, bella, benjamin, charles, claire, david or diana.
    output
        The file, or - for standard output (default: standard output, if that is not a terminal).
    response_format
        The format (default: that of the file's name, or mp3).
    sample_rate
        Samples per second: 32000 or 44100 for mp3, 48000 for opus, and for wav and pcm 8000, 16000, 24000,
        32000 or 44100 (default: 32000, 48000, and 24000).
    speed
        From 0.25 to 4.
    gain
        Loudness in dB, from -10 to 10.
    model
        The model that speaks (default: FunAudioLLM/CosyVoice2-0.5B).
    reference
        A recording to speak like, in place of --voice; a dialogue needs one for each speaker.
    reference_text
        What is spoken in the recording, word for word; one for each.
    json
        Print one JSON object about the file, for programs (default: off).
    connection
        How the service is reached.
    """
    stdout, activity = Stdout(), Activity()
    references = _references(voice, reference or [], reference_text or [])
    to_stdout = output is None or str(output) == STANDARD_STREAM
    if to_stdout:
        _check_stdout(stdout, chosen=output is not None, as_json=json)
    else:
        check_writable("--output", cast("Path", output))
    chosen = response_format or _format_of(output)
    spoken = read_stdin() if text == STANDARD_STREAM else text
    async with connection.client(on_event=activity.event) as client:
        speech = client.stream_speech(
            spoken,
            voice=voice,
            references=references,
            model=model,
            response_format=chosen,
            sample_rate=sample_rate,
            speed=speed,
            gain=gain,
        )
        with activity.showing(translated("Speaking")):
            async with speech:
                if to_stdout:
                    await _play(speech, stdout)
                else:
                    await speech.save(cast("Path", output))
    if not to_stdout:
        await _show(speech, cast("Path", output), stdout, as_json=json)
    stdout.finish()
    return ALL_DONE


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


def _references(voice: str | None, recordings: list[Path], texts: list[str]) -> list[Reference]:
    """Return the references of the options.

    Raises:
        ConfigurationError: They don't say with which voice to speak.
    """
    if len(recordings) != len(texts):
        raise ConfigurationError(
            translated("Pass a --reference-text for each --reference, with the words that are spoken in it")
        )
    if (voice is None) is (not recordings):
        raise ConfigurationError(
            translated(
                "Pass the voice to speak with: either --voice, or --reference; to find voices, run: "
                "siliconflow-voice list"
            )
        )
    return [Reference(audio, text) for audio, text in zip(recordings, texts, strict=True)]


def _format_of(output: Path | None) -> ResponseFormat:
    """Return the format that a file's name ends with, or mp3 if it has no ending.

    Raises:
        ConfigurationError: It ends otherwise.
    """
    ending = "" if output is None else output.suffix.removeprefix(".").lower()
    if not ending:
        return "mp3"
    for supported in _FORMATS:
        if ending == supported:
            return supported
    raise ConfigurationError(
        translated(
            "--output {file} does not end with a format that can be spoken; end it with one of "
            "{supported}, or pass --format",
            file=output,
            supported=", ".join(f".{supported}" for supported in _FORMATS),
        )
    )


def _check_stdout(stdout: Stdout, *, chosen: bool, as_json: bool) -> None:
    """Refuse to mix the audio with a terminal's text, or with JSON.

    Raises:
        ConfigurationError: It would be.
    """
    if as_json:
        raise ConfigurationError(
            translated("--json is about a file, and standard output has the audio: pass --output FILE")
        )
    if stdout.isatty() and not chosen:
        raise ConfigurationError(
            translated("A terminal can't play audio: pass --output FILE, or pipe it into a player")
        )


async def _play(speech: Speech, stdout: Stdout) -> None:
    """Hand the audio on as it arrives, to a player that may be slow.

    Raises:
        SiliconFlowError: The player has gone.
    """
    async for chunk in speech:
        await asyncio.to_thread(stdout.write_bytes, chunk)
        if failure := stdout.failure():
            raise failure


async def _show(speech: Speech, file: Path, stdout: Stdout, *, as_json: bool) -> None:
    """Print what was spoken."""
    if speech.format == "pcm":
        size = speech.received
        seconds: float | None = size / _SAMPLE_BYTES / speech.sample_rate
    else:
        facts = await inspect_audio(file)
        size, seconds = facts.size or 0, facts.duration
    if as_json:
        stdout.event(
            "speech",
            file=str(file),
            format=speech.format,
            sample_rate=speech.sample_rate,
            size=size,
            duration=seconds,
            first_chunk_after=round(speech.first_chunk_after, 3),
            trace_id=speech.trace_id,
        )
        return
    lasts = translated("duration not known") if seconds is None else f"{seconds:.2f} s"
    line = translated(
        "{file}: {format}, {size}, {lasts}; first bytes after {wait:.2f} s",
        file=file,
        format=speech.format,
        size=format_bytes(size),
        lasts=lasts,
        wait=speech.first_chunk_after,
    )
    stdout.write(f"{shortened(line, 1000)}\n")


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
