from __future__ import annotations

import aiohttp

from siliconflow_voice.emulator import Emulator, Fault


async def test_what_was_ordered_can_be_called_off(session: aiohttp.ClientSession) -> None:
    async with Emulator(faults=[Fault.return_status(503, times=None, endpoint="any")]) as emulator:
        statuses = []
        for _ in range(2):
            async with session.get(f"{emulator.base_url}/audio/voice/list") as response:
                statuses.append(response.status)
            emulator.clear_faults()
        assert (statuses, emulator.unmet_faults) == ([503, 200], ())
