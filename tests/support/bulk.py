"""Bulk runs: items for them, and what became of those."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from siliconflow_voice import Journal, UploadOutcome, VoiceClient, VoiceUpload, upload_many
from siliconflow_voice.emulator import Emulator, Fault
from support.recordings import SPEECH, TEXT


def item(number: int = 0, **changes: Any) -> VoiceUpload:
    """Make an upload, each number's another."""
    fields: dict[str, Any] = {"audio": SPEECH, "custom_name": f"narrator-{number}", "text": TEXT}
    return VoiceUpload(**fields | changes)


def items(count: int) -> Iterator[VoiceUpload]:
    return map(item, range(count))


async def outcomes_of(
    client: VoiceClient, uploads: Iterable[VoiceUpload], **options: Any
) -> list[UploadOutcome]:
    """Run to the end; give the outcomes in the order of the uploads."""
    outcomes = [outcome async for outcome in upload_many(client, uploads, **options)]
    return sorted(outcomes, key=lambda outcome: outcome.index)


async def statuses_of(client: VoiceClient, uploads: Iterable[VoiceUpload], **options: Any) -> list[str]:
    return [outcome.status for outcome in await outcomes_of(client, uploads, **options)]


def stored(emulator: Emulator) -> Counter[str]:
    """Count the voices that the service has, by name."""
    return Counter(voice.custom_name for voice in emulator.voices)


def once(count: int) -> Counter[str]:
    """What the service has after so many items, none lost and none twice."""
    return Counter(f"narrator-{number}" for number in range(count))


async def taken(outcomes: AsyncIterator[UploadOutcome], into: list[UploadOutcome]) -> None:
    """Take all outcomes, and keep those that came before an error."""
    async for outcome in outcomes:
        into.append(outcome)  # noqa: PERF401 - a list that is made at once would be lost


async def until(holds: Callable[[], bool]) -> None:
    """Let the others go on until something is so."""
    while not holds():  # noqa: ASYNC110 - the emulator tells nobody of what comes in
        await asyncio.sleep(0)


async def counts(place: str | Path) -> dict[str, int]:
    async with Journal(place) as journal:
        return await journal.counts()


async def left_open(
    client: VoiceClient, emulator: Emulator, place: str | Path, *uploads: VoiceUpload
) -> None:
    """Have uploads stored whose answers nobody hears any more, since their run is ended."""
    before = len(emulator.voices)
    emulator.add_fault(Fault.delay(3600, times=None))

    async def run() -> None:
        async for _ in upload_many(client, uploads, journal=place, settle=0):
            raise AssertionError

    task = asyncio.create_task(run())
    await until(lambda: len(emulator.voices) == before + len(uploads))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    emulator.clear_faults()
