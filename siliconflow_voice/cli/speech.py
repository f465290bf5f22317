"""The command ``speak``: a text becomes speech, in a file or for a player."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, cast, get_args

from cyclopts import Parameter

from siliconflow_voice.audio.inspection import inspect_audio
from siliconflow_voice.cli.activity import Activity
from siliconflow_voice.cli.exits import ALL_DONE
from siliconflow_voice.cli.files import check_writable
from siliconflow_voice.cli.language import translated
from siliconflow_voice.cli.options import Connection, Flag, Output
from siliconflow_voice.cli.terminal import Stdout, format_bytes, shortened
from siliconflow_voice.cli.texts import STANDARD_STREAM, read_stdin
from siliconflow_voice.errors import (
    ConfigurationError,
)
from siliconflow_voice.speech.parameters import Reference, ResponseFormat
from siliconflow_voice.speech.speech import Speech

__all__ = ["speak"]


_CONNECTION = Connection()
_FORMATS: tuple[ResponseFormat, ...] = get_args(ResponseFormat)
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
