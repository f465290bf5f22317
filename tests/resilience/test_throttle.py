from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.virtual_time import VirtualTimeLoop, virtual_time

from siliconflow_voice import Throttle
from siliconflow_voice.resilience.throttle import Gate


def test_each_address_and_model_has_a_gate_of_its_own() -> None:
    throttle = Throttle()
    gates = {throttle.gate(address, model) for address in "ab" for model in "xy"}
    assert len(gates) == 4
    assert throttle.gate("a", "x") in gates


@virtual_time
async def test_no_more_pass_than_there_is_room_for() -> None:
    gate, order = Gate(2), []

    async def pass_through(name: str) -> None:
        await gate.enter()
        order.append(name)
        await asyncio.sleep(1)
        gate.leave()

    async with asyncio.TaskGroup() as group:
        for name in "abcde":
            group.create_task(pass_through(name))
    assert order == list("abcde")
    assert asyncio.get_running_loop().time() == 3


@virtual_time
async def test_a_pause_holds_all_and_then_lets_them_go() -> None:
    gate = Gate(5)
    gate.pause(30)
    gate.pause(10)  # a shorter one doesn't open it earlier
    assert not gate.is_open
    await asyncio.gather(*(gate.enter() for _ in range(3)))
    assert (asyncio.get_running_loop().time(), gate.in_flight) == (30, 3)


@virtual_time
async def test_a_pause_that_is_prolonged_holds_those_who_wait() -> None:
    gate = Gate(1)
    gate.pause(10)
    waiter = asyncio.create_task(gate.enter())
    await asyncio.sleep(5)
    gate.pause(20)
    await waiter
    assert asyncio.get_running_loop().time() == 25


@virtual_time
async def test_one_who_gives_up_loses_its_place_and_holds_nobody_up() -> None:
    gate = Gate(1)
    await gate.enter()
    first, second = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    first.cancel()
    gate.leave()
    await second
    assert (first.cancelled(), gate.in_flight) == (True, 1)


@virtual_time
async def test_one_who_is_cancelled_as_it_is_let_pass_gives_the_place_on() -> None:
    gate = Gate(1)
    await gate.enter()
    first, second = asyncio.create_task(gate.enter()), asyncio.create_task(gate.enter())
    await asyncio.sleep(0)
    gate.leave()
    first.cancel()
    await second
    with pytest.raises(asyncio.CancelledError):
        await first
    assert gate.in_flight == 1


@settings(deadline=None)
@given(st.integers(1, 5), st.integers(0, 2**32))
def test_under_any_schedule_there_is_room_for_all_and_never_for_more(capacity: int, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    gate, most = Gate(capacity), 0

    async def one() -> None:
        nonlocal most
        await asyncio.sleep(chance.random() * 5)
        async with asyncio.timeout(chance.choice([None, None, chance.random() * 3])):
            await gate.enter()
        most = max(most, gate.in_flight)
        if chance.random() < 0.2:
            gate.pause(chance.random())
        await asyncio.sleep(chance.random())
        gate.leave()

    async def run() -> None:
        await asyncio.gather(*(one() for _ in range(30)), return_exceptions=True)

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(run())
    assert (gate.in_flight, len(gate._waiting)) == (0, 0)
    assert most <= capacity
