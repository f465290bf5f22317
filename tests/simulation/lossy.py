"""A service that stores every upload and loses one answer of ten."""

from __future__ import annotations

import asyncio
from collections import Counter

from attrs import frozen
from support.virtual_time import VirtualTimeLoop

from siliconflow_voice import VoiceClient
from siliconflow_voice.emulator import Emulator, Fault
from simulation.scenarios import AUDIO


@frozen
class Lossy:
    """What became of the uploads."""

    uploads: int
    stored: int
    duplicates: int
    recovered: int
    lists: int
    """How often the account was listed to find them."""
    seconds: float


def simulate_lossy(*, uploads: int = 2_000, share: float = 0.1) -> Lossy:
    """Upload voices of different names, 16 at once, with the client's own defaults."""

    async def run() -> Lossy:
        faults = [Fault.drop_answer(times=None, share=share)]
        async with Emulator(faults=faults, latency=(0.5, 1.5)) as emulator:
            async with VoiceClient("sk-test", base_url=emulator.base_url, limits=None) as client:
                numbers = iter(range(uploads))
                recovered: list[bool] = []

                async def work() -> None:
                    for number in numbers:
                        voice = await client.upload_voice(AUDIO, custom_name=f"v{number}", text="x")
                        recovered.append(voice.recovered)

                async with asyncio.TaskGroup() as group:
                    for _ in range(16):
                        group.create_task(work())
            names = Counter(voice.custom_name for voice in emulator.voices)
            return Lossy(
                uploads=uploads,
                stored=len(names),
                duplicates=names.total() - len(names),
                recovered=sum(recovered),
                lists=sum(request.endpoint == "list" for request in emulator.requests),
                seconds=asyncio.get_running_loop().time(),
            )

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(run())
