"""Calls that pass through a shared throttle, and other processes that use it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter

from siliconflow_voice import Throttle
from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.limiter import Admission, Verdict


def gate_of(throttle: Throttle, model: str = "model") -> Gate:
    return throttle.gate("http://localhost/v1", model)


async def entered(throttle: Throttle, *, tokens: float = 1.0, model: str = "model") -> Admission:
    gate = gate_of(throttle, model)
    return await gate.enter(gate.turn(), tokens, retry=False)


async def pass_through(
    throttle: Throttle,
    verdict: Verdict = Verdict.ACCEPTED,
    *,
    tokens: float = 1.0,
    retry_after: float | None = None,
) -> None:
    admission = await entered(throttle, tokens=tokens)
    gate_of(throttle).leave(admission, verdict, retry_after=retry_after)


async def until(condition: object, seconds: float = 10.0) -> None:
    """Wait until something holds: *condition* is called."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event
            await asyncio.sleep(0.005)


async def compete(
    *throttles: tuple[Throttle, int], seconds: float, latency: float = 0.01, tokens: float = 1.0
) -> Counter[int]:
    """Have each make calls all the time, so many at once; return how many each made."""
    made, loop = Counter[int](), asyncio.get_running_loop()
    end = loop.time() + seconds

    async def call(number: int, throttle: Throttle) -> None:
        while True:
            admission = await entered(throttle, tokens=tokens)
            try:
                if loop.time() < end:
                    made[number] += 1
                    await asyncio.sleep(latency)
            finally:
                gate_of(throttle).leave(admission, Verdict.ACCEPTED)

    calls = [
        asyncio.create_task(call(number, throttle))
        for number, (throttle, at_once) in enumerate(throttles)
        for _ in range(at_once)
    ]
    await asyncio.sleep(seconds)
    for task in calls:
        task.cancel()
    await asyncio.wait(calls)
    return made


HOLDER = """
import asyncio, sys
from siliconflow_voice.fleet import SharedThrottle

async def main(url, count):
    async with SharedThrottle(url, max_concurrency=4) as throttle:
        gate = throttle.gate("http://localhost/v1", "model")
        for _ in range(count):
            await gate.enter(gate.turn(), 1.0, retry=False)
        print("held", flush=True)
        await asyncio.sleep(600)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


UPLOADER = """
import asyncio, sys
from siliconflow_voice import VoiceClient
from siliconflow_voice.fleet import SharedThrottle
from support import recordings

async def main(url, base_url, window, name, count):
    names = iter(range(count))

    async def caller(client):
        for number in names:
            await client.upload_voice(
                recordings.SPEECH, custom_name=f"{name}-{number}", text="x", on_ambiguous="raise"
            )

    async with (
        SharedThrottle(url, window=window, max_concurrency=8) as throttle,
        VoiceClient("sk-test", base_url=base_url, throttle=throttle) as client,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(8):
            group.create_task(caller(client))

asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
"""


async def uploading(
    url: str, base_url: str, window: float, name: str, count: int
) -> asyncio.subprocess.Process:
    """Return another process, which uploads so many recordings."""
    arguments = ["-c", UPLOADER, url, base_url, str(window), name, str(count)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, env=environment)


def holding(url: str, count: int) -> subprocess.Popen[str]:
    """Return another process, in which so many requests are under way."""
    process = subprocess.Popen(  # noqa: S603 - ours
        [sys.executable, "-c", HOLDER, url, str(count)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process
