"""The service as a process of its own: quotas, lost answers, and a report of what it has when it is stopped.

python -m fleet_soak.service REQUESTS WINDOW LOST SEED
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter

from siliconflow_voice.emulator import Emulator, Fault, Quota
from siliconflow_voice.signals import on_stop_signal


async def main() -> None:
    """Serve until SIGTERM; then print what is stored, and what was asked for."""
    requests, window, lost, seed = (float(argument) for argument in sys.argv[1:])
    quota = Quota(requests=int(requests), window=window) if requests else None
    faults = [Fault.drop_answer(times=None, share=lost)] if lost else []
    stop = asyncio.Event()
    with on_stop_signal(lambda _number: stop.set()):
        async with Emulator(quota=quota, faults=faults, latency=(0.01, 0.05), seed=int(seed)) as emulator:
            print(emulator.base_url, flush=True)  # noqa: T201 - for the driver
            await stop.wait()
            answers = Counter(f"{record.endpoint} {record.status}" for record in emulator.requests)
            stored = [(voice.custom_name, voice.uri, voice.sha256) for voice in emulator.voices]
            print(json.dumps({"answers": answers, "stored": stored}))  # noqa: T201 - likewise


if __name__ == "__main__":
    asyncio.run(main())
