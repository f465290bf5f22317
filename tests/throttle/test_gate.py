from __future__ import annotations

import asyncio

import pytest
from support.gates import gate_of, now, pass_through, passing, turns_of_the_loop
from support.virtual_time import virtual_time

from siliconflow_voice import InvalidUploadError, Throttle
from siliconflow_voice.throttle.limiter import Verdict


@virtual_time
async def test_no_more_pass_at_once_than_there_is_capacity() -> None:
    gate, most = gate_of(Throttle(max_concurrency=2)), 0

    async def call() -> None:
        nonlocal most
        admission = await gate.enter(gate.turn(), 1, retry=False)
        most = max(most, gate.in_flight)
        await asyncio.sleep(1)
        gate.leave(admission, Verdict.ACCEPTED)

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(call())
    assert (most, now()) == (2, 10)


@virtual_time
async def test_one_answer_wakes_no_more_than_may_go() -> None:
    gate = gate_of(Throttle(max_concurrency=3))
    waiting = [passing(gate) for _ in range(100)]
    await turns_of_the_loop()
    assert (sum(task.done() for task in waiting), gate.waiting) == (3, 97)
    gate.leave(await waiting[0], Verdict.ACCEPTED)
    await turns_of_the_loop()
    assert (sum(task.done() for task in waiting), gate.waiting) == (4, 96)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


@virtual_time
async def test_after_a_refusal_one_goes_first_however_many_wait() -> None:
    gate = gate_of()
    await pass_through(gate, Verdict.REQUESTS_REFUSED, retry_after=30)
    waiting = [passing(gate) for _ in range(100)]
    await asyncio.sleep(1000)
    assert (gate.in_flight, gate.waiting) == (1, 99)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


# Who is next.


@virtual_time
async def test_the_oldest_call_goes_first_whenever_it_came_to_the_gate() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    went: list[int] = []

    async def call(turn: int) -> None:
        admission = await gate.enter(turn, 1, retry=False)
        went.append(turn)
        await asyncio.sleep(1)
        gate.leave(admission, Verdict.ACCEPTED)

    async with asyncio.TaskGroup() as group:
        for turn in (5, 3, 9, 1, 7):
            group.create_task(call(turn))
    assert went == [5, 1, 3, 7, 9]


@virtual_time
async def test_the_retry_of_an_older_call_goes_before_younger_calls() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    older = gate.turn()
    admission = await gate.enter(older, 1, retry=False)
    first, second = passing(gate), passing(gate)
    await turns_of_the_loop()
    gate.leave(admission, Verdict.OVERLOADED)  # it rests for half a second
    again = passing(gate, older, retry=True)
    await asyncio.sleep(1)
    assert (again.done(), first.done(), second.done()) == (True, False, False)
    gate.leave(await again, Verdict.ACCEPTED)
    gate.leave(await first, Verdict.ACCEPTED)
    gate.leave(await second, Verdict.ACCEPTED)


@virtual_time
async def test_nobody_overtakes_one_who_waits_for_more() -> None:
    gate = gate_of(Throttle(tokens_per_minute=10))
    await pass_through(gate, tokens=8)
    much, little = passing(gate, tokens=5), passing(gate, tokens=1)
    await asyncio.sleep(30)
    assert (much.done(), little.done()) == (False, False)
    for task in (much, little):
        gate.leave(await task, Verdict.ACCEPTED)
    assert now() == pytest.approx(60, abs=0.51)


# Cancelled.


@virtual_time
async def test_who_is_cancelled_in_the_line_leaves_it() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    first, second, third = passing(gate), passing(gate), passing(gate)
    await turns_of_the_loop()
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert (gate.in_flight, gate.waiting) == (1, 1)
    gate.leave(await first, Verdict.ACCEPTED)
    gate.leave(await third, Verdict.ACCEPTED)
    assert (gate.in_flight, gate.waiting) == (0, 0)


@virtual_time
async def test_who_is_cancelled_at_the_head_of_the_line_lets_the_next_one_pass_at_once() -> None:
    gate = gate_of(Throttle(tokens_per_minute=10))
    await pass_through(gate, tokens=8)
    much, little = passing(gate, tokens=5), passing(gate, tokens=1)
    await asyncio.sleep(30)
    much.cancel()
    gate.leave(await little, Verdict.ACCEPTED)
    assert now() == 30


@virtual_time
async def test_who_is_cancelled_while_being_admitted_gives_the_place_to_the_next() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    first, second, third = passing(gate), passing(gate), passing(gate)
    await turns_of_the_loop()
    gate.leave(await first, Verdict.ACCEPTED)
    assert (gate.in_flight, second.done()) == (1, False)  # let pass, and not awake yet
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.leave(await third, Verdict.ACCEPTED)
    assert (gate.in_flight, gate.waiting, now()) == (0, 0, 0)


@virtual_time
async def test_a_timeout_in_the_line_is_one() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    holding = await passing(gate)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await passing(gate)
    assert (gate.in_flight, gate.waiting, now()) == (1, 0, 5)
    gate.leave(holding, Verdict.ACCEPTED)


@virtual_time
async def test_when_all_have_left_no_timer_is_left_behind() -> None:
    gate = gate_of()
    await pass_through(gate, Verdict.OVERLOADED, retry_after=100)
    waiting = passing(gate)
    await turns_of_the_loop()
    assert gate._timer is not None
    waiting.cancel()
    await asyncio.wait([waiting])
    assert gate._timer is None


# Closed by what the service said.


@pytest.mark.parametrize(
    "verdict", [Verdict.REQUESTS_REFUSED, Verdict.TOKENS_REFUSED, Verdict.OVERLOADED, Verdict.ACCEPTED]
)
@pytest.mark.parametrize(("asked", "closed"), [(0, 0), (50, 50), (120, 120), (86400, 120)])
@virtual_time
async def test_a_retry_after_closes_the_gate_but_not_for_more_than_two_minutes(
    verdict: Verdict, asked: float, closed: float
) -> None:
    gate = gate_of()
    await pass_through(gate, verdict, retry_after=asked)
    await pass_through(gate)
    assert max(closed, 0) <= now() <= max(closed, 2)


@virtual_time
async def test_the_longest_closure_stands() -> None:
    gate = gate_of()
    admissions = [await passing(gate) for _ in range(2)]
    for admission, seconds in zip(admissions, (40, 10), strict=True):
        gate.leave(admission, Verdict.OVERLOADED, retry_after=seconds)
    await pass_through(gate)
    assert now() == 40


@virtual_time
async def test_another_error_closes_nothing() -> None:
    gate = gate_of()
    await pass_through(gate, Verdict.NEITHER, retry_after=40)
    await pass_through(gate)
    assert now() == 0


# What is said of it.


@virtual_time
async def test_it_is_open_while_one_would_pass_at_once() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    assert gate.is_open(1)
    holding = await passing(gate)
    assert not gate.is_open(1)
    gate.leave(holding, Verdict.ACCEPTED, retry_after=10)
    assert not gate.is_open(1)
    await asyncio.sleep(10)
    assert gate.is_open(1)


@virtual_time
async def test_it_is_not_open_to_one_who_would_overtake_others() -> None:
    gate = gate_of(Throttle(tokens_per_minute=10))
    await pass_through(gate, tokens=8)
    assert gate.is_open(1)
    much = passing(gate, tokens=5)
    await turns_of_the_loop()
    assert not gate.is_open(1)
    gate.leave(await much, Verdict.ACCEPTED)


@virtual_time
async def test_what_alone_costs_more_tokens_than_were_declared_is_refused() -> None:
    gate = gate_of(Throttle(tokens_per_minute=10))
    with pytest.raises(InvalidUploadError, match="11 tokens; the throttle allows 10 a minute") as caught:
        await gate.enter(gate.turn(), 11, retry=False)
    assert (caught.value.field, gate.in_flight, gate.waiting) == ("text", 0, 0)
