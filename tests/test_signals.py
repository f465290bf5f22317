from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterator

import pytest

from siliconflow_voice.signals import default_interrupt, on_stop_signal

NUMBERS = [signal.SIGINT, signal.SIGTERM, *([] if sys.platform == "win32" else [signal.SIGHUP])]


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Make sure that all handlers are as before."""
    before = [signal.getsignal(number) for number in NUMBERS]
    yield
    assert [signal.getsignal(number) for number in NUMBERS] == before


@pytest.mark.parametrize("number", NUMBERS)
async def test_each_signal_is_told_to_the_loop(number: int) -> None:
    told: list[int] = []
    with on_stop_signal(told.append):
        signal.raise_signal(number)
        signal.raise_signal(number)
        assert told == []
        await asyncio.sleep(0)
    assert told == [number, number]


async def test_handlers_are_as_before_after_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), on_stop_signal(print):
        raise ZeroDivisionError


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_signal_that_was_ignored_before_stays_ignored(number: int) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with on_stop_signal(print):
            assert signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


async def test_code_that_blocks_the_loop_can_be_interrupted() -> None:
    with pytest.raises(KeyboardInterrupt), default_interrupt():
        signal.raise_signal(signal.SIGINT)
