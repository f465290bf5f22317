"""Upload voices in Celery tasks: what a worker that dies had under way is looked up, and never made twice.

celery --app celery_voices worker --loglevel info

from celery_voices import upload
upload.delay([{"audio": "/recordings/a.mp3", "custom_name": "a", "text": "慢工出细活"}])
"""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing

from celery import Celery

from siliconflow_voice import VoiceClient, VoiceUpload, upload_many

DATABASE = os.environ["SILICONFLOW_DATABASE_URL"]

app = Celery("voices", broker=os.environ["BROKER_URL"], backend=os.environ["BROKER_URL"])
# A task is done when it has ended, and not when it has begun: a worker that dies leaves it to another.
app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)
app.conf.broker_transport_options = {"visibility_timeout": float(os.environ.get("VISIBILITY", "3600"))}


@app.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=10)
def upload(rows: list[dict[str, str]]) -> list[str]:
    """Return each row's uri, or what went wrong with it."""
    return asyncio.run(_upload(rows))


async def _upload(rows: list[dict[str, str]]) -> list[str]:
    results = [""] * len(rows)
    async with VoiceClient() as client:
        items = [VoiceUpload(**row) for row in rows]
        async with aclosing(upload_many(client, items, journal=DATABASE)) as outcomes:
            async for outcome in outcomes:
                results[outcome.index] = outcome.voice.uri if outcome.voice else str(outcome.error)
    return results
