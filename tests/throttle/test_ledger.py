from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.throttle.ledger import Ledger

SLOT = 60 / 120

# Seconds since the one before, what it costs, whether it was accepted.
answers = st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1000), st.booleans()), max_size=80)


@given(st.floats(0, 1e6), st.floats(0.1, 3600))
def test_a_request_counts_until_a_window_after_its_answer(at: float, window: float) -> None:
    ledger = Ledger(window)
    ledger.add(at, 3, accepted=True)
    ledger.expire(at + window * 0.9999)
    assert (ledger.sent, ledger.accepted) == (3, 3)


@given(st.floats(0, 1e6), st.floats(0.1, 3600))
def test_a_request_ages_out_at_most_a_slot_later(at: float, window: float) -> None:
    ledger = Ledger(window)
    ledger.add(at, 3, accepted=True)
    ledger.expire(at + window * (1 + 1.001 / 120))
    assert (ledger.sent, ledger.accepted) == (0, 0)


def test_refusals_count_as_sent_alone() -> None:
    ledger = Ledger(60)
    ledger.add(1, 2, accepted=False)
    ledger.add(1, 3, accepted=True)
    assert (ledger.sent, ledger.accepted) == (5, 3)


@given(answers)
def test_the_sums_are_those_of_a_plain_log(answers: list[tuple[float, float, bool]]) -> None:
    ledger, log, now = Ledger(60), list[tuple[float, float, bool]](), 0.0
    for since, cost, accepted in answers:
        now += since
        ledger.add(now, cost, accepted=accepted)
        log.append((now, cost, accepted))
        # In the slot in which something ages out, either may be the truth.
        least = [(cost, accepted) for at, cost, accepted in log if at + 60 > now]
        most = [(cost, accepted) for at, cost, accepted in log if at + 60 + SLOT > now]
        assert sum(cost for cost, _ in least) - 1e-6 <= ledger.sent <= sum(cost for cost, _ in most) + 1e-6
        assert (
            sum(cost for cost, accepted in least if accepted) - 1e-6
            <= ledger.accepted
            <= sum(cost for cost, accepted in most if accepted) + 1e-6
        )


@given(answers)
def test_rounding_leaves_nothing_behind(answers: list[tuple[float, float, bool]]) -> None:
    ledger, now = Ledger(60), 0.0
    for since, cost, accepted in answers:
        now += since
        ledger.add(now, cost, accepted=accepted)
    ledger.expire(now + 61)
    assert (ledger.sent, ledger.accepted) == (0, 0)


@given(answers, st.floats(0, 2000))
def test_it_says_when_enough_will_have_aged_out(
    answers: list[tuple[float, float, bool]], cost: float
) -> None:
    ledger, now = Ledger(60), 0.0
    for since, each, accepted in answers:
        now += since
        ledger.add(now, each, accepted=accepted)
    before = ledger.sent
    at = ledger.frees(cost)
    if at is None:
        assert before < cost + 1e-6
        return
    assert now < at <= now + 60 + SLOT
    ledger.expire(at)
    assert before - ledger.sent >= cost - 1e-6


def test_what_is_not_there_never_ages_out() -> None:
    ledger = Ledger(60)
    ledger.add(0, 3, accepted=True)
    assert (ledger.frees(3), ledger.frees(3.5)) == (60 + SLOT, None)


@pytest.mark.parametrize("start", [0.0, 0.05, 12345.678])
def test_any_number_of_requests_takes_no_more_than_a_window_of_slots(start: float) -> None:
    ledger, most = Ledger(60), 0
    for number in range(20_000):
        ledger.add(start + number * 0.01, 1, accepted=True)
        most = max(most, len(ledger._slot_sent))
    assert most <= 121
    assert ledger.sent == pytest.approx(6000, rel=0.01)
