from __future__ import annotations

import asyncio

import pytest

from siliconflow_voice import Throttle
from siliconflow_voice.cli.gates import Gates, gates_of
from siliconflow_voice.throttle.limiter import Verdict


async def test_nothing_has_begun_before_the_first_upload() -> None:
    throttle = Throttle(requests_per_minute=60)
    throttle.gate("http://127.0.0.1/v1", "")  # that of listings
    assert gates_of(throttle) == Gates()


async def test_the_gates_of_all_models_are_taken_together() -> None:
    throttle = Throttle(requests_per_minute=60, tokens_per_minute=1000)
    for model in ("a", "b"):
        throttle.gate("http://127.0.0.1/v1", model).try_enter(10.0, retry=False)
    assert gates_of(throttle) == Gates(begun=True, in_flight=2, limit=120.0, tokens=2000.0)


async def test_limits_are_those_of_a_minute() -> None:
    throttle = Throttle(requests_per_minute=10, window=6.0)
    throttle.gate("http://127.0.0.1/v1", "a")
    assert gates_of(throttle).limit == 100.0


async def test_what_is_not_known_is_none() -> None:
    throttle = Throttle()
    throttle.gate("http://127.0.0.1/v1", "a")
    assert (gates_of(throttle).limit, gates_of(throttle).tokens) == (None, None)


async def test_a_gate_before_which_somebody_waits_for_quota_is_closed() -> None:
    throttle = Throttle(requests_per_minute=1)
    gate = throttle.gate("http://127.0.0.1/v1", "a")
    admission = gate.try_enter(1.0, retry=False)
    assert admission is not None
    gate.leave(admission, Verdict.ACCEPTED)
    assert not gates_of(throttle).closed
    waiting = asyncio.create_task(gate.enter(gate.turn(), 1.0, retry=False))
    await asyncio.sleep(0)
    gates = gates_of(throttle)
    waiting.cancel()
    assert (gates.waiting, gates.closed) == (1, True)
    assert gates.opens_in == pytest.approx(60, abs=5)
