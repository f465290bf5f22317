"""Upload voices in Ray tasks: what a worker that dies had under way is looked up, and never made twice."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

import ray

from siliconflow_voice import VoiceClient, VoiceUpload, upload_many

DATABASE = os.environ["SILICONFLOW_DATABASE_URL"]


@ray.remote(max_retries=10)
def upload(rows: list[dict[str, str]]) -> list[str]:
    """Return each row's uri, or what went wrong with it; Ray runs it again if its worker dies."""
    return asyncio.run(_upload(rows))


async def _upload(rows: list[dict[str, str]]) -> list[str]:
    results = [""] * len(rows)
    async with VoiceClient() as client:
        items = [VoiceUpload(**row) for row in rows]
        async with aclosing(upload_many(client, items, journal=DATABASE)) as outcomes:
            async for outcome in outcomes:
                results[outcome.index] = outcome.voice.uri if outcome.voice else str(outcome.error)
    return results
