from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.gates import gate_of, now, pass_through, passing
from support.virtual_time import virtual_time

from siliconflow_voice import Throttle
from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.throttle.limiter import Admission, Limiter, Verdict
from siliconflow_voice.throttle.overload import Overload
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.state import dumped, loaded
from siliconflow_voice.throttle.traffic import Permit

QUOTAS = [
    Quota(requests=20, phase=25),
    Quota(requests=3),
    Quota(requests=20, kind="sliding"),
    Quota(requests=60, kind="bucket", burst=5),
    Quota(tokens=100, kind="sliding"),
]


def limiter(capacity: int = 4) -> Limiter:
    return Limiter(Pace(60.0), Pace(60.0), Overload(capacity))


def send(each: Limiter, meter: QuotaMeter, clock: float, *, offset: float = 0.0, busy: bool = False) -> float:
    """Send one as soon as it may go, and have it answered; return when."""
    at = each.ready_at(clock, 7.0, retry=False)
    assert at is not None
    admission = each.admit(at, 7.0, retry=False)
    met = meter.take(at - offset, 7)
    verdict = {None: Verdict.ACCEPTED, "RPM": Verdict.REQUESTS_REFUSED, "TPM": Verdict.TOKENS_REFUSED}[met]
    each.answered(at + 0.5, admission, Verdict.OVERLOADED if busy else verdict)
    return at + 0.5


@pytest.mark.parametrize("quota", QUOTAS)
@settings(deadline=None, max_examples=30)
@given(before=st.integers(0, 150), offset=st.sampled_from([0.0, -8192.0, 1048576.0]), stumble=st.booleans())
@example(before=56, offset=1048576.0, stumble=True)  # it was opened again: all that is a time must move along
def test_one_that_was_loaded_under_another_clock_goes_on_as_the_other_would(
    quota: Quota, before: int, offset: float, stumble: bool
) -> None:
    first, meter, clock = limiter(), QuotaMeter(quota), 0.0
    for number in range(before):
        clock = send(first, meter, clock, busy=stumble and number == before // 2)
    second, later = limiter(), clock + offset
    second.load(json.loads(json.dumps(first.state(clock), allow_nan=False)), later)
    meters = QuotaMeter(quota), QuotaMeter(quota)
    for _ in range(40):
        clock = send(first, meters[0], clock)
        later = send(second, meters[1], later, offset=offset)
        assert later - offset == pytest.approx(clock, abs=0.6)  # in a slot of the ledger


def test_an_admission_is_a_plain_value_too() -> None:
    each = limiter()
    admission = each.admit(100.0, 3.0, retry=False)
    facts = json.loads(json.dumps(dumped(admission, 130.0)))
    again = loaded(facts, (Admission, Permit), 1000.0)
    assert (again.requests.sent_at, again.tokens.cost, again.overload) == (970.0, 3.0, 0)
    each.answered(150.0, again, Verdict.ACCEPTED)
    assert each.in_flight == 0


def test_what_another_version_dumped_is_refused() -> None:
    with pytest.raises(KeyError):
        limiter().load({"requests": {}}, 0.0)


def test_a_state_takes_some_kilobytes_at_most_at_any_rate() -> None:
    each = limiter(capacity=1000)
    for number in range(100_000):
        each.answered(number * 0.001, each.admit(number * 0.001, 1.0, retry=False), Verdict.ACCEPTED)
    assert len(json.dumps(each.state(100.0))) < 15_000


# Of a throttle.


async def learned() -> Throttle:
    throttle = Throttle()
    for _ in range(10):
        await pass_through(gate_of(throttle), seconds=0.5)
    await pass_through(gate_of(throttle), Verdict.REQUESTS_REFUSED, seconds=0.5)
    return throttle


@virtual_time
async def test_a_throttle_goes_on_from_what_another_has_learned() -> None:
    state = json.loads(json.dumps((await learned()).state()))
    throttle = Throttle(state=state)
    assert gate_of(throttle).limiter.requests.limit == 10
    assert not gate_of(throttle).is_open(1)
    assert throttle.gate("elsewhere", "model").is_open(1)


@virtual_time
async def test_what_was_not_used_since_is_handed_on() -> None:
    state = (await learned()).state()
    assert Throttle(state=Throttle(state=state).state()).state() == state


@virtual_time
async def test_what_was_under_way_counts_as_sent_and_is_not_waited_for() -> None:
    throttle = Throttle(max_concurrency=2, requests_per_minute=5)
    under_way = [await passing(gate_of(throttle)) for _ in range(2)]
    again = Throttle(max_concurrency=2, requests_per_minute=5, state=throttle.state())
    gate = gate_of(again)
    assert (gate.in_flight, gate.limiter.requests.traffic.used, gate.is_open(1)) == (0, 2, True)
    for admission in under_way:
        gate_of(throttle).leave(admission, Verdict.ACCEPTED)


@virtual_time
async def test_a_smaller_concurrency_holds_for_what_was_learned_with_a_larger() -> None:
    throttle = Throttle(max_concurrency=3, state=(await learned()).state())
    gate_of(throttle)
    assert throttle.snapshot()[0].concurrency == 3


@virtual_time
async def test_a_new_throttle_has_nothing_to_hand_on() -> None:
    throttle = Throttle()
    gate_of(throttle)
    assert throttle.state() == {"gates": []}


# Gates that know nothing.


@virtual_time
async def test_a_hundred_thousand_names_leave_few_gates_behind() -> None:
    throttle = Throttle()
    for number in range(1000):
        await pass_through(throttle.gate("a", f"model {number}"))
        await asyncio.sleep(61)
    assert len(throttle.snapshot()) <= 64


@virtual_time
async def test_gates_that_learned_something_or_are_used_stay() -> None:
    throttle = await learned()
    holding = await passing(throttle.gate("a", "held"))
    overloaded = throttle.gate("a", "overloaded")
    await pass_through(overloaded, Verdict.OVERLOADED)
    closed = throttle.gate("a", "closed")
    await pass_through(closed, retry_after=100)
    gates = [gate_of(throttle), throttle.gate("a", "held"), overloaded]
    await asyncio.sleep(70)
    for number in range(200):
        throttle.gate("a", f"model {number}")
    assert [gate_of(throttle), throttle.gate("a", "held"), throttle.gate("a", "overloaded")] == gates
    assert throttle.gate("a", "closed") is closed
    throttle.gate("a", "held").leave(holding, Verdict.ACCEPTED)


# The wait.


@virtual_time
async def test_where_nothing_waits_there_is_no_wait() -> None:
    throttle = Throttle()
    assert throttle.expected_wait("model") == 0
    await pass_through(gate_of(throttle))
    assert throttle.expected_wait("model") == 0


@virtual_time
async def test_what_a_limit_has_room_for_does_not_wait() -> None:
    throttle = Throttle(requests_per_minute=10)
    await pass_through(gate_of(throttle))
    assert throttle.expected_wait("model") == 0


@virtual_time
async def test_the_line_is_counted() -> None:
    throttle = Throttle(requests_per_minute=10, max_concurrency=100)
    gate = gate_of(throttle)
    for _ in range(10):
        await pass_through(gate)
    assert throttle.expected_wait("model") == pytest.approx(60, abs=1)
    waiting = [passing(gate) for _ in range(25)]
    await asyncio.sleep(1)
    assert throttle.expected_wait("model") == pytest.approx(60 + 120 - 1, abs=1)
    for number, task in enumerate(waiting):
        admission = await task
        assert now() == pytest.approx(60 * (1 + number // 10), abs=2)
        gate.leave(admission, Verdict.ACCEPTED)


@virtual_time
async def test_where_it_is_the_concurrency_answers_are_waited_for() -> None:
    throttle = Throttle(max_concurrency=2)
    gate = gate_of(throttle)
    for _ in range(3):
        await pass_through(gate, seconds=10)
    admissions = [await passing(gate) for _ in range(2)]
    waiting = [passing(gate) for _ in range(4)]
    await asyncio.sleep(0.01)
    assert throttle.expected_wait("model") == pytest.approx(30)
    for admission in admissions:
        gate.leave(admission, Verdict.ACCEPTED)
    for task in waiting:
        gate.leave(await task, Verdict.ACCEPTED)


@virtual_time
async def test_evenly_each_of_the_line_takes_its_time() -> None:
    throttle = await learned()
    gate = gate_of(throttle)
    await asyncio.sleep(2)
    await pass_through(gate, seconds=0.5)
    await pass_through(gate, Verdict.REQUESTS_REFUSED)
    assert gate.limiter.requests.limit is not None
    spacing = 60 / gate.limiter.requests.limit
    await pass_through(gate)
    waiting = [passing(gate) for _ in range(6)]
    await asyncio.sleep(0.01)
    assert throttle.expected_wait("model") == pytest.approx(7 * spacing, rel=0.3)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


@virtual_time
async def test_tokens_are_counted_too() -> None:
    throttle = Throttle(tokens_per_minute=10)
    await pass_through(gate_of(throttle), tokens=10)
    assert gate_of(throttle).line(tokens=5).seconds == pytest.approx(60, abs=1)


@virtual_time
async def test_of_several_addresses_the_longest_wait_counts_unless_one_is_named() -> None:
    throttle = Throttle()
    await pass_through(throttle.gate("a", "model"), Verdict.OVERLOADED, retry_after=30)
    throttle.gate("b", "model")
    assert throttle.expected_wait("model") == 30
    assert throttle.expected_wait("model", address="b") == 0


@virtual_time
async def test_only_those_before_it_are_ahead_of_a_call_with_a_turn() -> None:
    gate = gate_of(Throttle(max_concurrency=1))
    early = gate.turn()
    holding = await passing(gate)
    waiting = [passing(gate) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert (gate.line(early).ahead, gate.line().ahead) == (0, 3)
    gate.leave(holding, Verdict.ACCEPTED)
    for task in waiting:
        gate.leave(await task, Verdict.ACCEPTED)


@virtual_time
async def test_what_is_only_believed_is_not_certain() -> None:
    believed = gate_of(await learned())
    assert believed.line().seconds > 0
    assert believed.line().at_least == 0
    declared = gate_of(Throttle(requests_per_minute=1))
    await pass_through(declared)
    assert declared.line().at_least == declared.line().seconds > 59


def test_of_the_wait_for_a_learned_limit_half_is_certain() -> None:
    each, meter, clock = limiter(), QuotaMeter(QUOTAS[2]), 0.0
    for _ in range(60):
        clock = send(each, meter, clock)
    assert (each.requests.basis, each.certainty) == ("learned", 0.5)


@virtual_time
async def test_what_is_used_and_left_is_told() -> None:
    throttle = Throttle(requests_per_minute=10)
    await pass_through(gate_of(throttle), tokens=7)
    (told,) = throttle.snapshot()
    assert (told.requests_used, told.requests_remaining, told.requests_basis) == (1, 9, "declared")
    assert (told.tokens_used, told.tokens_remaining, told.tokens_basis) == (7, None, None)


@virtual_time
async def test_a_throttle_learns_again_what_another_version_has_learned() -> None:
    state = (await learned()).state()
    del state["gates"][0]["limiter"]["overload"]["allowed"]
    throttle = Throttle(state=state)
    assert gate_of(throttle).limiter.requests.limit is None
    assert gate_of(throttle).is_open(1)
