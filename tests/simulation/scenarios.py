"""One run of many uploads against one kind of quota, in virtual time, and how fast it could have been."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from attrs import field, frozen
from support.virtual_time import VirtualTimeLoop

from siliconflow_voice import RetryPolicy, SiliconFlowError, Throttle, Timeouts, VoiceClient
from siliconflow_voice.emulator import Emulator, Quota

# As little as goes for audio with the checks off: what is simulated is time, not transport.
AUDIO = b"RIFF" + bytes(60)


@frozen
class Scenario:
    """A service, and those who upload to it."""

    quota: Quota
    uploads: int
    coroutines: int = 32
    latency: tuple[float, float] = (0.5, 1.5)
    """Seconds that an answer takes."""
    later: tuple[float, Quota] | None = None
    """When the quota is exchanged for another, and for which."""
    others_every: float | None = None
    """Seconds between the uploads of somebody else, who uses the same account and never waits."""
    text: str = "x"
    """The longest text: those of the uploads are of any length up to its."""

    def __str__(self) -> str:
        quota = self.quota
        burst = f" of {quota.burst or quota.requests}" if quota.kind == "bucket" else ""
        counted = "" if quota.count_refusals else ", refusals free"
        return f"{quota.kind}{burst}{counted}" + (f", phase {quota.phase:g}" if quota.phase else "")


@frozen
class Sample:
    """What the throttle believed at a moment."""

    at: float
    limit: float | None
    in_flight: int


@frozen
class Result:
    """How a run went."""

    failed: int
    refused: int
    seconds: float
    requests: list[tuple[float, bool]] = field(repr=False)
    """When each request came, and whether it was refused."""
    samples: list[Sample] = field(factory=list[Sample], repr=False)


Upload = Callable[[str, int], Awaitable[None]]
"""Uploads one voice to an address, or raises."""


def simulate(scenario: Scenario, *, seed: int = 0) -> Result:
    """Run the SDK's client, as a user has it, against the emulator: real HTTP, virtual time."""
    samples: list[Sample] = []

    async def run() -> Result:
        async with Emulator(quota=scenario.quota, latency=scenario.latency, seed=seed) as emulator:
            throttle = Throttle(max_concurrency=scenario.coroutines)
            async with VoiceClient(
                "sk-test",
                base_url=emulator.base_url,
                throttle=throttle,
                limits=None,
                retry=RetryPolicy(deadline=None),
                timeouts=Timeouts(attempt=None),
            ) as client:

                async def upload(_: str, number: int) -> None:
                    text = scenario.text[: number * 7 % len(scenario.text) + 1]
                    await client.upload_voice(
                        AUDIO, custom_name=f"v{number}", text=text, on_ambiguous="raise"
                    )
                    [gate] = throttle.snapshot()
                    now = asyncio.get_running_loop().time()
                    samples.append(Sample(now, gate.requests_per_window, gate.in_flight))

                if scenario.later is not None:
                    at, quota = scenario.later
                    asyncio.get_running_loop().call_at(at, setattr, emulator, "quota", quota)
                others = asyncio.create_task(_others(emulator.base_url, scenario.others_every))
                try:
                    return await measure(scenario, emulator, upload, samples)
                finally:
                    others.cancel()

    return in_virtual_time(run)


async def _others(base_url: str, every: float | None) -> None:
    """Use up a part of the account's quota from elsewhere."""
    if every is None:
        return
    async with (
        VoiceClient("sk-test", base_url=base_url, limits=None, retry=RetryPolicy.none()) as client,
        asyncio.TaskGroup() as group,
    ):
        while True:
            await asyncio.sleep(every)
            group.create_task(_one_of_the_others(client))


async def _one_of_the_others(client: VoiceClient) -> None:
    with contextlib.suppress(SiliconFlowError):
        await client.upload_voice(AUDIO, custom_name="others", text="x", on_ambiguous="raise")


async def measure(
    scenario: Scenario, emulator: Emulator, upload: Upload, samples: list[Sample] | None = None
) -> Result:
    """Upload with so many coroutines at once, and count."""
    numbers = iter(range(scenario.uploads))
    failed = 0

    async def work() -> None:
        nonlocal failed
        for number in numbers:
            try:
                await upload(emulator.base_url, number)
            except (SiliconFlowError, ConnectionError):
                failed += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(scenario.coroutines):
            group.create_task(work())
    requests = [
        (request.at, request.refused) for request in emulator.requests if request.endpoint == "upload"
    ]
    refused = sum(was_refused for _, was_refused in requests)
    return Result(failed, refused, asyncio.get_running_loop().time(), requests, samples or [])


def in_virtual_time(run: Callable[[], Awaitable[Result]]) -> Result:
    """Run it to its end in a loop that doesn't wait."""

    async def main() -> Result:
        return await run()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
