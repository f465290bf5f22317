"""Recordings that are sent along: opened, looked at, and refused before anything is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from attrs import define

from siliconflow_voice.audio.blocks import Block
from siliconflow_voice.audio.checks import AudioLimits, check_audio
from siliconflow_voice.audio.formats import AudioFacts
from siliconflow_voice.audio.pool import ReadPool
from siliconflow_voice.audio.readings import Reading
from siliconflow_voice.audio.source import Audio, AudioSource
from siliconflow_voice.errors import APITimeoutError, InvalidUploadError

__all__ = ["Recording", "open_recording"]


@define(eq=False)
class Recording:
    """A recording that was looked at, and is read once for each attempt."""

    reading: Reading
    facts: AudioFacts
    name: str
    """What messages call it."""

    def blocks(self) -> AsyncGenerator[Block, None]:
        """Return its audio from the start."""
        most = self.reading.most
        return self.reading.blocks() if most is None else self.reading.bounded(most)

    async def aclose(self) -> None:
        """Close what reads it."""
        await self.reading.close()


async def open_recording(
    audio: Audio, pool: ReadPool, limits: AudioLimits | None, until: float | None, field: str = "audio"
) -> Recording:
    """Open a recording, and look at it by the loop's time *until*; the caller closes what is returned.

    Args:
        audio: What to read.
        pool: Reads files.
        limits: What is accepted; with None, anything that is not empty.
        until: The loop's time, or None.
        field: What the argument is called in errors.

    Raises:
        InvalidUploadError: It is not accepted.
        AudioSourceError: It can't be read.
        APITimeoutError: It can't be read in time.
    """
    try:
        source = AudioSource.of(audio)
        reading = source.reading(pool)
        try:
            if limits is not None:
                reading.largest = limits.max_bytes
            async with asyncio.timeout_at(until):
                facts = await reading.facts(measure=limits is not None)
            check_audio(limits, facts, source.filename)
        except BaseException:
            await reading.close()
            raise
    except InvalidUploadError as error:
        if field == "audio":
            raise
        raise InvalidUploadError(field, error.reason, rule=error.rule) from error.__cause__
    except TimeoutError:
        raise APITimeoutError(
            "The deadline passed while the audio was read; nothing was sent: raise RetryPolicy.deadline"
        ) from None
    if facts.size is None and limits is not None:
        reading.most = limits.max_bytes
    return Recording(reading, facts, source.filename)
