"""Looks at a recording without a client: what it is, and how long it lasts."""

from __future__ import annotations

from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.source import Audio, AudioSource

__all__ = ["inspect_audio"]


async def inspect_audio(audio: Audio, *, content_type: str | None = None) -> AudioFacts:
    """Return the format, media type, size and duration of a recording, and send nothing.

    The format is told by the content. The duration (seconds) is what a decoder puts out, found by looking at
    all of the recording, and None where it is not known: it is never a guess. A stream is read as far as it
    is looked at, and can't be uploaded afterwards; a file object is rewound to where it stood.

    Args:
        audio: As :meth:`VoiceClient.upload_voice` accepts it.
        content_type: The media type, where the content doesn't tell it: ``audio/pcm;rate=16000``.

    Raises:
        InvalidUploadError: It is nothing that audio could be read from.
        AudioSourceError: It can't be read.
    """
    source = AudioSource.of(audio, content_type=content_type)
    pool = ReadPool()
    try:
        reading = source.reading(pool)
        try:
            return await reading.facts()
        finally:
            await reading.close()
    finally:
        await pool.close()
