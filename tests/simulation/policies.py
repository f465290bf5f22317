"""What others do about refusals, written plainly, for comparison.

Each is one coroutine's view: it sends, and if refused waits and sends again. None knows of the others.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import aiohttp

from siliconflow_voice.emulator import Emulator
from simulation.scenarios import Result, Scenario, in_virtual_time, measure

BODY = {
    "model": "FunAudioLLM/CosyVoice2-0.5B",
    "customName": "v",
    "text": "x",
    "audio": "data:audio/wav;base64,UklGRg==",
}

Send = Callable[[], Awaitable[bool]]
"""Sends once; tells whether it was accepted."""
Policy = Callable[[Send, random.Random], Awaitable[bool]]


async def openai_defaults(send: Send, chance: random.Random) -> bool:
    """openai-python 3: two retries, 0.5 s doubled up to 8 s, less a quarter at random.

    Source: ``_calculate_retry_timeout`` and ``DEFAULT_MAX_RETRIES`` of openai-python.
    """
    for retry in range(3):
        if await send():
            return True
        if retry < 2:
            await asyncio.sleep(min(0.5 * 2**retry, 8.0) * (1 - 0.25 * chance.random()))
    return False


async def botocore_standard(send: Send, chance: random.Random) -> bool:
    """botocore's standard mode with ten attempts instead of three: full jitter up to 20 s.

    Source: ``ExponentialBackoff`` of botocore/retries/standard.py.
    """
    for attempt in range(10):
        if await send():
            return True
        await asyncio.sleep(chance.random() * min(2**attempt, 20))
    return False


class BotocoreAdaptive:
    """botocore's adaptive mode, with no end of retries: a client-side rate, cut by refusals, grown cubically.

    Source: botocore/retries/adaptive.py, bucket.py and throttling.py.
    """

    def __init__(self) -> None:
        self._rate = 0.5
        self._tokens = 0.0
        self._filled_at: float | None = None
        self._enabled = False
        self._w_max = 0.0
        self._last_fail = 0.0
        self._measured = 0.0
        self._bucket_at = 0.0
        self._count = 0
        self._turn = asyncio.Lock()

    async def __call__(self, send: Send, chance: random.Random) -> bool:
        retries = 0
        while True:
            await self._acquire()
            accepted = await send()
            self._learn(accepted=accepted)
            if accepted:
                return True
            await asyncio.sleep(chance.random() * min(2**retries, 20))
            retries += 1

    async def _acquire(self) -> None:
        if not self._enabled:
            return
        async with self._turn:
            while True:
                now = asyncio.get_running_loop().time()
                if self._filled_at is not None:
                    self._tokens = min(
                        max(self._rate, 1), self._tokens + (now - self._filled_at) * self._rate
                    )
                self._filled_at = now
                if self._tokens >= 1 - 1e-9:
                    self._tokens -= 1
                    return
                await asyncio.sleep((1 - self._tokens) / self._rate)

    def _learn(self, *, accepted: bool) -> None:
        now = asyncio.get_running_loop().time()
        self._count += 1
        bucket = now * 2 // 1 / 2
        if bucket > self._bucket_at:
            rate = self._count / (bucket - self._bucket_at)
            self._measured = rate * 0.8 + self._measured * 0.2
            self._count, self._bucket_at = 0, bucket
        if accepted:
            k = (self._w_max * 0.3 / 0.4) ** (1 / 3)
            wanted = 0.4 * (now - self._last_fail - k) ** 3 + self._w_max
        else:
            to_use = min(self._measured, self._rate) if self._enabled else self._measured
            self._w_max, self._last_fail, self._enabled = to_use, now, True
            wanted = to_use * 0.7
        self._rate = max(min(wanted, 2 * self._measured), 0.5)


def simulate_policy(scenario: Scenario, make_policy: Callable[[], Policy], *, seed: int = 0) -> Result:
    """Run a policy as :func:`simulation.scenarios.simulate` runs the SDK."""

    async def run() -> Result:
        chance = random.Random(seed)  # noqa: S311 - to be repeatable
        policy = make_policy()
        headers = {"Authorization": "Bearer sk-test"}
        async with (
            Emulator(quota=scenario.quota, latency=scenario.latency, seed=seed) as emulator,
            aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session,
        ):

            async def upload(base_url: str, _: int) -> None:
                async def send() -> bool:
                    async with session.post(f"{base_url}/uploads/audio/voice", json=BODY) as response:
                        await response.read()
                        return response.status == 200

                if not await policy(send, chance):
                    raise ConnectionError("gave up")

            return await measure(scenario, emulator, upload)

    return in_virtual_time(run)
