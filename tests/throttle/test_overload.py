from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliconflow_voice.throttle.overload import Overload


def break_down(overload: Overload, now: float = 0.0) -> None:
    """Send one, and be told that it is too much."""
    overload.overloaded(now, overload.admit(retry=False))


def accept(overload: Overload, count: int) -> None:
    for _ in range(count):
        overload.accepted(overload.epoch)


def rest(overload: Overload, now: float) -> float:
    """How long it rests before one more."""
    at = overload.ready_at(now, 0, retry=False)
    assert at is not None
    return at - now


def test_as_many_go_at_once_as_there_is_capacity() -> None:
    overload = Overload(16)
    assert [overload.ready_at(5, in_flight, retry=False) for in_flight in (0, 15, 16)] == [5, 5, None]


def test_an_overload_halves_them() -> None:
    overload = Overload(16)
    break_down(overload)
    assert [overload.ready_at(5, in_flight, retry=False) for in_flight in (7, 8)] == [5, None]


def test_those_that_were_under_way_together_halve_them_once() -> None:
    overload = Overload(16)
    epochs = [overload.admit(retry=False) for _ in range(16)]
    for epoch in epochs:
        overload.overloaded(0, epoch)
    assert overload.allowed == 8


def test_one_that_was_sent_since_halves_them_again() -> None:
    overload = Overload(16)
    break_down(overload)
    break_down(overload)
    assert overload.allowed == 4


def test_never_less_than_one_goes_at_once() -> None:
    overload = Overload(3)
    for _ in range(10):
        break_down(overload)
    assert overload.allowed == 1


def test_a_round_of_successes_doubles_them() -> None:
    overload = Overload(64)
    for _ in range(3):
        break_down(overload)
    accept(overload, 8)
    assert overload.allowed == 16
    accept(overload, 16)
    assert overload.allowed == 32


def test_near_where_it_broke_down_a_round_adds_one() -> None:
    overload = Overload(64)
    break_down(overload)
    accept(overload, 16)
    assert overload.allowed == 48
    accept(overload, 4)
    assert overload.allowed == 52  # the first above four fifths of 64
    accept(overload, 52)
    assert overload.allowed == pytest.approx(53, abs=0.02)


def test_a_breakdown_in_between_lowers_where_that_begins() -> None:
    overload = Overload(64)
    break_down(overload)
    accept(overload, 8)
    break_down(overload)
    accept(overload, 12)
    assert overload.allowed == 32  # four fifths of 40
    accept(overload, 32)
    assert overload.allowed == pytest.approx(33, abs=0.02)


@pytest.mark.parametrize("successes", [0, 3])
def test_of_a_series_of_breakdowns_the_first_tells_where_that_begins(successes: int) -> None:
    overload = Overload(64)
    for _ in range(20):
        break_down(overload)
        accept(overload, successes)
    accept(overload, 51)
    assert overload.allowed == pytest.approx(52, abs=0.3)
    accept(overload, 52)
    assert overload.allowed == pytest.approx(53, abs=0.3)


def test_it_comes_back_to_its_capacity_and_no_further() -> None:
    overload = Overload(16)
    for _ in range(4):
        break_down(overload)
    accept(overload, 1000)
    assert overload.allowed == 16


@given(st.integers(1, 100), st.lists(st.booleans()))
def test_they_stay_between_one_and_the_capacity(capacity: int, successes: list[bool]) -> None:
    overload = Overload(capacity)
    for success in successes:
        if success:
            overload.accepted(overload.epoch)
        else:
            break_down(overload)
        assert 1 <= overload.allowed <= capacity


# Rests.


def test_while_fewer_can_go_at_once_there_is_no_rest() -> None:
    overload = Overload(2)
    break_down(overload)
    assert rest(overload, 0) == 0


def test_where_one_at_a_time_is_too_many_the_rests_grow_to_two_seconds() -> None:
    overload, rests = Overload(1), list[float]()
    for number in range(7):
        break_down(overload, number * 100)
        rests.append(rest(overload, number * 100))
    assert rests == [0.5, 1, 2, 2, 2, 2, 2]


def test_a_success_makes_the_next_rest_short_again() -> None:
    overload = Overload(1)
    for number in range(4):
        break_down(overload, number * 100)
    accept(overload, 1)
    break_down(overload, 500)
    assert rest(overload, 500) == 0.5


def test_a_rest_ends_by_itself() -> None:
    overload = Overload(1)
    break_down(overload)
    assert overload.ready_at(0.5, 0, retry=False) == 0.5


# The retry budget.


def retries_at(overload: Overload, now: float) -> int:
    """How many retries may go at that moment."""
    count = 0
    while overload.ready_at(now, 0, retry=True) == now:
        overload.admit(retry=True)
        count += 1
    return count


def test_ten_retries_are_free_and_then_two_seconds_each() -> None:
    overload = Overload(100)
    assert retries_at(overload, 0) == 10
    assert overload.ready_at(0, 0, retry=True) == 2
    assert retries_at(overload, 2) == 1


def test_a_success_pays_for_two_retries() -> None:
    overload = Overload(100)
    retries_at(overload, 0)
    accept(overload, 1)
    assert retries_at(overload, 0) == 2


def test_a_success_of_before_the_overload_opens_nothing() -> None:
    overload = Overload(16)
    before = overload.admit(retry=False)
    break_down(overload)
    for _ in range(20):
        overload.accepted(before)
    assert overload.allowed == 8


def test_no_more_than_ten_are_saved_up() -> None:
    overload = Overload(100)
    accept(overload, 1000)
    assert retries_at(overload, 1e6) == 10


def test_who_was_not_turned_away_pays_nothing() -> None:
    overload = Overload(100)
    retries_at(overload, 0)
    assert overload.ready_at(0, 0, retry=False) == 0


@given(st.lists(st.tuples(st.floats(0, 20), st.booleans()), max_size=200))
def test_retries_never_outrun_what_pays_for_them(steps: list[tuple[float, bool]]) -> None:
    overload, now = Overload(100), 0.0
    gone: list[tuple[float, int]] = []  # when a retry went, and the successes before it
    successes = 0
    for seconds, success in steps:
        now += seconds
        if success:
            overload.accepted(overload.epoch)
            successes += 1
        else:
            gone += [(now, successes)] * retries_at(overload, now)
    for first, (began, before) in enumerate(gone):
        for last in range(first, len(gone)):
            ended, after = gone[last]
            paid = 10 + 2 * (after - before) + 0.5 * (ended - began) + 1
            assert last - first + 1 <= paid
