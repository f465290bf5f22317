"""Prepares a recording, in a thread of its own, which ends when the call is cancelled."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import BinaryIO, TypeAlias, cast

from siliconflow_voice.audio.catalogue import FORMATS
from siliconflow_voice.audio.files import PathReading
from siliconflow_voice.audio.formats import AudioFacts, pcm_shape
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.preparation.values import PreparedAudio, PreparedFormat, Recipe
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.errors import AudioSourceError, ConfigurationError, InvalidUploadError
from siliconflow_voice.threads import OwnThread

__all__ = ["prepare"]

_Work: TypeAlias = "Callable[[BinaryIO], PreparedAudio]"

# What ffmpeg might try to read all the same, and what it can't.
_NO_RECORDINGS = frozenset(
    {
        "base64",
        "data-uri",
        "gif",
        "git-lfs",
        "gzip",
        "html",
        "jpeg",
        "json",
        "midi",
        "pdf",
        "png",
        "silk",
        "text",
    }
    | {"url", "xml", "zip"}
)
_IN_MEMORY = 1 << 22
_MOST_COPIED = 1 << 31
"""Bytes of a stream or a file object, which are copied to a temporary file."""


async def prepare(
    audio: Audio,
    *,
    format: PreparedFormat = "mp3",  # noqa: A002 - what AudioFacts calls it too
    seconds: tuple[float, float] = (8.0, 10.0),
    whole: float = 29.5,
    loudness: float = -16.0,
    peak: float = -1.5,
    content_type: str | None = None,
) -> PreparedAudio:
    """Make a recording fit for a reference voice. The recording itself is never changed.

    Whatever ffmpeg reads is decoded (m4a, flac, ogg, webm, a video's sound), mixed to mono, and freed of
    silence at both ends. If more than *whole* is left, the best part is cut out: clear of noise, even,
    unclipped, and from pause to pause. That is brought to one loudness (EBU R 128), and encoded at 44.1 kHz,
    as mp3 with 192 kbit/s or as wav with 16 bits. Speech is told from noise by its loudness alone: music
    with a beat is taken for speech.

    All of it runs in a thread of its own, in little memory however long the recording is, of which the first
    six hours are looked at. Cancelling the call ends that. It needs the extra ``prepare``:
    ``pip install 'siliconflow-voice[prepare]'``.

    Args:
        audio: The recording, as :meth:`VoiceClient.upload_voice` accepts it, of any format and length. A
            stream or a file object of up to 2 GiB is copied to a temporary file first.
        format: ``mp3`` or ``wav``.
        seconds: Bounds of what is cut out, in seconds. It is shorter only if nothing spoken is as long. The
            vendor advises 8 to 10 s.
        whole: Seconds up to which all that is spoken is kept, so that its transcript still fits. The vendor's
            limit is 30 s.
        loudness: Integrated loudness of the result in LUFS, between -40 and -8.
        peak: Its highest true peak in dBTP, between -20 and 0. It goes before the loudness.
        content_type: As in :meth:`AudioSource.of`: raw samples need ``audio/pcm;rate=16000``.

    Raises:
        AudioSourceError: It can't be read or decoded, or has no sound.
        InvalidUploadError: There is no speech in it (rule ``no_speech``), or less than a second of it
            (``too_short``); or it is nothing that audio could be read from.
        ConfigurationError: An option is invalid, or the extra is not installed.
    """
    recipe = Recipe(format, seconds, whole, loudness, peak)
    source = AudioSource.of(audio, content_type=content_type)
    stop = threading.Event()
    pool = ReadPool()
    try:
        with OwnThread("prepare") as thread:
            reading = source.reading(pool)
            try:
                facts = await reading.facts(measure=False)
                _check(facts, source)
                raw = None if facts.format != "pcm" else pcm_shape(facts.media_type)
                work = partial(_work, source.filename, recipe, raw, stop)
                if isinstance(reading, PathReading):
                    return await thread.run(_of_path, reading, work)
                return await _of_copy(reading, source.filename, thread, work)
            finally:
                stop.set()
                await reading.close()
    finally:
        await pool.close()


def _check(facts: AudioFacts, source: AudioSource) -> None:
    """Refuse at once what is known not to be a recording."""
    if facts.size == 0:
        raise InvalidUploadError("audio", f"{source.filename} is empty", rule="empty")
    if facts.format == "pcm" and pcm_shape(facts.media_type) is None:
        raise InvalidUploadError(
            "audio",
            f"{source.filename} is declared as raw samples without their rate; "
            f"pass content_type='audio/pcm;rate=16000', with the rate that it has",
            rule="media_type",
        )
    if facts.format in _NO_RECORDINGS:
        found = FORMATS[facts.format]
        raise AudioSourceError(f"{source.filename} can't be decoded: it is {found.title}; {found.advice}")


def _of_path(reading: PathReading, work: _Work) -> PreparedAudio:
    with reading.opened() as file:
        return work(file)


async def _of_copy(reading: Reading, name: str, thread: OwnThread, work: _Work) -> PreparedAudio:
    """Work on a copy: a caller's file object may be read by others, and a stream can't be rewound."""
    file = cast("BinaryIO", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 - closed in the thread
    try:
        async with aclosing(reading.bounded(_MOST_COPIED)) as blocks:
            async for block in blocks:
                try:
                    await thread.run(file.write, block)
                except OSError as error:
                    raise AudioSourceError(
                        f"{name} can't be copied to a temporary file: {error.strerror or error}; "
                        f"save it, and pass its path"
                    ) from error
        return await thread.run(work, file)
    finally:
        thread.close(file.close)


def _work(
    name: str, recipe: Recipe, raw: tuple[int, int] | None, stop: threading.Event, file: BinaryIO
) -> PreparedAudio:
    """Do all of it, in a thread."""
    try:
        from siliconflow_voice.audio.preparation.making import made  # noqa: PLC0415 - of the extra
    except ImportError as error:
        raise ConfigurationError(
            f"Preparing recordings requires PyAV, which can't be imported ({error}); "
            "install it with: pip install 'siliconflow-voice[prepare]'"
        ) from error
    return made(file, name, recipe, raw=raw, stop=stop)
