from __future__ import annotations

import asyncio

import pytest
from support.gates import gate_of, now, pass_through, passing, turns_of_the_loop
from support.virtual_time import virtual_time

from siliconflow_voice import Throttle
from siliconflow_voice.throttle.limiter import Verdict
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.phases import Window


@virtual_time
async def test_who_is_cancelled_while_being_admitted_uses_up_nothing() -> None:
    throttle = Throttle(max_concurrency=1, requests_per_minute=2)
    gate = gate_of(throttle)
    first, second, third = passing(gate), passing(gate), passing(gate)
    await turns_of_the_loop()
    gate.leave(await first, Verdict.ACCEPTED)
    second.cancel()
    await asyncio.wait([second])
    gate.leave(await third, Verdict.ACCEPTED)
    assert now() == 0
    await pass_through(gate)
    assert now() == pytest.approx(60, abs=0.51)


def pace(limit: float) -> Pace:
    pace = Pace(60.0)
    pace.phase = Window(pace.traffic, limit, begins_at=0.0)
    return pace


def test_a_window_has_back_what_was_not_sent() -> None:
    each = pace(2)
    permits = [each.admit(1.0, 1.0) for _ in range(2)]
    assert each.ready_at(2.0, 1.0) == 60
    each.refund(permits[0])
    assert (each.ready_at(2.0, 1.0), each.traffic.used) == (2, 1)


def test_a_trial_that_was_not_sent_is_out_no_more() -> None:
    each = pace(1)
    each.admit(1.0, 1.0)
    trial = each.admit(2.0, 1.0)
    assert isinstance(each.phase, Window)
    assert (trial.trial, each.phase.trial_out) == (True, True)
    each.refund(trial)
    assert not each.phase.trial_out


def test_of_those_under_way_some_may_be_lost() -> None:
    each = Pace(60.0)
    for _ in range(5):
        each.admit(1.0, 2.0)
    each.lose(2.0, 3, 6.0)
    assert (each.traffic.in_flight, each.traffic.cost_in_flight, each.traffic.used) == (2, 4.0, 10.0)
