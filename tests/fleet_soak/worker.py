"""A worker as a process of its own, with the window of a scaled quota.

python -m fleet_soak.worker DATABASE_URL BASE_URL WINDOW LEASE shared|apart
"""

from __future__ import annotations

import asyncio
import logging
import sys

from siliconflow_voice import VoiceClient
from siliconflow_voice.fleet import WorkerOptions, work
from siliconflow_voice.throttle.throttle import Throttle


async def main() -> None:
    """Work until all is done."""
    url, base_url, window, lease, kind = sys.argv[1:]
    apart = Throttle(window=float(window)) if kind == "apart" else None

    def client(shared: Throttle) -> VoiceClient:
        return VoiceClient("sk-test", base_url=base_url, throttle=apart or shared)

    options = WorkerOptions(
        client=client, concurrency=64, window=float(window), lease=float(lease), settle=0.5
    )
    await work(url, options, until_done=True)


if __name__ == "__main__":
    for name in ("procrastinate", "psycopg.pool", "asyncio"):  # which the database's restart makes talk
        logging.getLogger(name).setLevel(logging.CRITICAL)
    asyncio.run(main())
