"""Bulk runs: items for them, and what became of those."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

from siliconflow_voice import UploadOutcome, VoiceClient, VoiceUpload, upload_many
from siliconflow_voice.emulator import Emulator
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
