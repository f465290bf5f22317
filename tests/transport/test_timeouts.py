from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from support.virtual_time import virtual_time

from siliconflow_voice import Timeouts
from siliconflow_voice.transport.payload import Transfer
from siliconflow_voice.transport.timeouts import Watch


async def waiting(watch: Watch) -> None:
    async with watch.scope:
        watch.start()
        await asyncio.Event().wait()


async def stalling(watch: Watch, transfer: Transfer, last: float) -> None:
    """Move one byte more so many seconds on, and then none."""

    def move() -> None:
        transfer.sent += 1

    asyncio.get_running_loop().call_later(last, move)
    await waiting(watch)


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


@pytest.mark.parametrize(
    "transfer",
    [Transfer, lambda: Transfer(sent=9, body_sent=True)],
    ids=["before the first byte", "while the service thinks"],
)
def test_what_does_not_move_is_no_stall_yet(transfer: Callable[[], Transfer]) -> None:
    @virtual_time
    async def run() -> None:
        watch = Watch(transfer(), Timeouts(attempt=20, stall=8), None)
        with pytest.raises(TimeoutError) as caught:
            await waiting(watch)
        watch.stop()
        assert asyncio.get_running_loop().time() == pytest.approx(20)
        assert "took longer than 20 s" in str(watch.error(caught.value))

    run()
