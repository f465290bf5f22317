"""A minute in which nine requests of ten are answered with 503."""

from __future__ import annotations

import asyncio

from attrs import frozen
from support.virtual_time import VirtualTimeLoop

from siliconflow_voice import RetryPolicy, Throttle, VoiceClient
from siliconflow_voice.emulator import Emulator, Fault
from simulation.scenarios import AUDIO

BEGINS, ENDS = 20.0, 80.0


@frozen
class BrownOut:
    """What became of the uploads around it."""

    uploads: int
    stored: int
    attempts_in_all: int
    attempts_within: int
    stored_within: int
    seconds_to_full_speed: float
    """From its end to when as many were under way again as before it."""
    requests: list[tuple[float, bool]]
    seconds: float


def simulate_brownout(*, uploads: int = 2_000, coroutines: int = 16) -> BrownOut:
    """Upload throughout; the calls of the SDK have no deadline."""

    async def run() -> BrownOut:
        loop = asyncio.get_running_loop()
        async with Emulator(latency=(0.5, 1.5)) as emulator:
            loop.call_at(BEGINS, emulator.add_fault, Fault.return_status(503, times=None, share=0.9))
            loop.call_at(ENDS, emulator.clear_faults)
            full_at: list[float] = []
            throttle = Throttle(max_concurrency=coroutines)
            async with VoiceClient(
                "sk-test",
                base_url=emulator.base_url,
                throttle=throttle,
                limits=None,
                retry=RetryPolicy(deadline=None),
            ) as client:
                numbers = iter(range(uploads))

                async def work() -> None:
                    for number in numbers:
                        await client.upload_voice(
                            AUDIO, custom_name=f"v{number}", text="x", on_ambiguous="raise"
                        )
                        if loop.time() > ENDS and throttle.snapshot()[0].in_flight >= coroutines - 1:
                            full_at.append(loop.time())

                async with asyncio.TaskGroup() as group:
                    for _ in range(4 * coroutines):
                        group.create_task(work())
            requests = [(request.at, request.refused) for request in emulator.requests]
            within = [refused for at, refused in requests if BEGINS <= at < ENDS]
            return BrownOut(
                uploads=uploads,
                stored=len(emulator.voices),
                attempts_in_all=len(requests),
                attempts_within=len(within),
                stored_within=within.count(False),
                seconds_to_full_speed=min(full_at, default=float("inf")) - ENDS,
                requests=requests,
                seconds=loop.time(),
            )

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())
