from __future__ import annotations

import asyncio

import pytest
from support.virtual_time import virtual_time

from siliconflow_voice import Timeouts
from siliconflow_voice.transport.payload import Transfer
from siliconflow_voice.transport.timeouts import Watch


async def stalling(watch: Watch, transfer: Transfer, last: float) -> None:
    """Move one byte more so many seconds on, and then none."""
    async with watch.scope:
        watch.start()
        await asyncio.sleep(last)
        transfer.sent += 1
        await asyncio.Event().wait()


@pytest.mark.parametrize("last", [0.5, 3, 7.9])
def test_a_stall_is_noticed_within_another_quarter_of_its_time(last: float) -> None:
    @virtual_time
    async def run() -> None:
        transfer = Transfer(sent=1)
        watch = Watch(transfer, Timeouts(attempt=None, stall=8), None)
        with pytest.raises(TimeoutError):
            await stalling(watch, transfer, last)
        watch.stop()
        assert 8 <= asyncio.get_running_loop().time() - last <= 10

    run()
