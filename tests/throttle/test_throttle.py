from __future__ import annotations

import asyncio

import pytest
from support.gates import gate_of, now, pass_through, passing, turns_of_the_loop
from support.virtual_time import virtual_time

from siliconflow_voice import (
    ConfigurationError,
    Throttle,
)
from siliconflow_voice.throttle.limiter import Verdict
from siliconflow_voice.throttle.throttle import GateSnapshot


@virtual_time
async def test_refused_requests_teach_the_limit_of_requests_alone() -> None:
    gate = gate_of()
    for _ in range(5):
        await pass_through(gate, tokens=20)
    await pass_through(gate, Verdict.REQUESTS_REFUSED, tokens=20)
    assert (gate.limiter.requests.limit, gate.limiter.tokens.limit, gate.limiter.overload.allowed) == (
        5,
        None,
        16,
    )


@virtual_time
async def test_refused_tokens_teach_the_limit_of_tokens_alone() -> None:
    gate = gate_of()
    for _ in range(5):
        await pass_through(gate, tokens=20)
    await pass_through(gate, Verdict.TOKENS_REFUSED, tokens=20)
    assert (gate.limiter.requests.limit, gate.limiter.tokens.limit, gate.limiter.overload.allowed) == (
        None,
        100,
        16,
    )


@virtual_time
async def test_a_learned_limit_of_tokens_lets_pass_by_their_number() -> None:
    gate = gate_of()
    for _ in range(5):
        await pass_through(gate, tokens=20)
    await pass_through(gate, Verdict.TOKENS_REFUSED, tokens=20)
    await asyncio.sleep(61)
    for _ in range(10):
        await pass_through(gate, tokens=10)
    assert now() == 61
    assert not gate.is_open(10)


@virtual_time
async def test_an_upload_that_needs_more_tokens_than_were_ever_accepted_is_tried_all_the_same() -> None:
    gate = gate_of()
    await pass_through(gate, tokens=20)
    for _ in range(6):
        await pass_through(gate, Verdict.TOKENS_REFUSED, tokens=500)
    await pass_through(gate, tokens=500)
    assert now() <= 7 * 61


@virtual_time
async def test_a_refusal_of_what_costs_no_tokens_is_survived() -> None:
    gate = gate_of()
    await pass_through(gate, tokens=0)
    await pass_through(gate, Verdict.TOKENS_REFUSED, tokens=0)
    await pass_through(gate, tokens=0)
    assert now() <= 2


@virtual_time
async def test_an_overload_teaches_no_limit() -> None:
    gate = gate_of()
    await pass_through(gate, Verdict.OVERLOADED)
    assert (gate.limiter.requests.limit, gate.limiter.tokens.limit, gate.limiter.overload.allowed) == (
        None,
        None,
        8,
    )


@virtual_time
async def test_other_errors_teach_nothing() -> None:
    gate = gate_of()
    for _ in range(20):
        await pass_through(gate, Verdict.NEITHER)
    assert (gate.limiter.requests.limit, gate.limiter.tokens.limit, gate.limiter.overload.allowed) == (
        None,
        None,
        16,
    )
    assert now() == 0


# One gate for each model.


def test_there_is_one_gate_for_each_address_and_model() -> None:
    throttle = Throttle()
    keys = [("a", "m"), ("a", "n"), ("b", "m")]
    gates = [throttle.gate(*key) for key in keys]
    assert [throttle.gate(*key) for key in keys] == gates
    assert len(set(map(id, gates))) == 3


@virtual_time
async def test_one_models_refusal_is_none_of_anothers() -> None:
    throttle = Throttle()
    await pass_through(throttle.gate("a", "m"), Verdict.REQUESTS_REFUSED, retry_after=100)
    await pass_through(throttle.gate("a", "n"))
    assert now() == 0


@virtual_time
async def test_a_scaled_window_scales_the_wait() -> None:
    gate = gate_of(Throttle(window=3, requests_per_minute=2))
    for _ in range(3):
        await pass_through(gate)
    assert now() == pytest.approx(3, abs=0.026)


# What is said of it.


def snapshot(throttle: Throttle) -> GateSnapshot:
    (only,) = throttle.snapshot()
    return only


@virtual_time
async def test_a_throttle_that_was_not_used_has_nothing_to_say() -> None:
    assert Throttle().snapshot() == ()


@virtual_time
async def test_a_gate_that_was_not_used_knows_no_limit() -> None:
    throttle = Throttle(max_concurrency=7)
    gate_of(throttle)
    assert snapshot(throttle) == GateSnapshot(
        "http://localhost/v1", "model", None, 0, None, None, 0, None, 0, 0, 7, 0
    )


@virtual_time
async def test_declared_limits_are_told() -> None:
    throttle = Throttle(requests_per_minute=30, tokens_per_minute=1000)
    gate_of(throttle)
    told = snapshot(throttle)
    assert (told.requests_per_window, told.tokens_per_window) == (30, 1000)


@virtual_time
async def test_those_who_wait_and_those_who_were_let_pass_are_told() -> None:
    throttle = Throttle(max_concurrency=2)
    gate = gate_of(throttle)
    tasks = [passing(gate) for _ in range(5)]
    await turns_of_the_loop()
    told = snapshot(throttle)
    assert (told.in_flight, told.waiting, told.opens_in) == (2, 3, 0)
    for task in tasks:
        gate.leave(await task, Verdict.ACCEPTED)
    told = snapshot(throttle)
    assert (told.in_flight, told.waiting, told.opens_in) == (0, 0, 0)


@virtual_time
async def test_who_was_cancelled_does_not_wait_any_more() -> None:
    throttle = Throttle(max_concurrency=1)
    gate = gate_of(throttle)
    tasks = [passing(gate) for _ in range(4)]
    await turns_of_the_loop()
    tasks[3].cancel()
    await asyncio.wait([tasks[3]])
    assert snapshot(throttle).waiting == 2
    for task in tasks[:3]:
        gate.leave(await task, Verdict.ACCEPTED)


@virtual_time
async def test_when_it_opens_again_is_told() -> None:
    throttle = Throttle()
    await pass_through(gate_of(throttle), Verdict.OVERLOADED, retry_after=90)
    await asyncio.sleep(30)
    assert snapshot(throttle).opens_in == 60


@virtual_time
async def test_what_an_overload_has_left_is_told() -> None:
    throttle = Throttle()
    await pass_through(gate_of(throttle), Verdict.OVERLOADED)
    assert snapshot(throttle).concurrency == 8


@virtual_time
async def test_what_was_learned_is_told() -> None:
    throttle = Throttle()
    for _ in range(5):
        await pass_through(gate_of(throttle), tokens=20)
    await pass_through(gate_of(throttle), Verdict.REQUESTS_REFUSED, tokens=20)
    told = snapshot(throttle)
    assert (told.requests_per_window, told.tokens_per_window) == (5, None)
    assert 0 < told.opens_in < 60


@pytest.mark.parametrize("name", ["max_concurrency", "requests_per_minute", "tokens_per_minute", "window"])
@pytest.mark.parametrize("value", [0, -1, "16", float("nan")])
def test_a_figure_of_no_use_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=rf"^Throttle\.{name} must be "):
        Throttle(**{name: value})  # type: ignore[arg-type] # on purpose
