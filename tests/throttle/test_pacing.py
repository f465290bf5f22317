from __future__ import annotations

import itertools

import pytest
from support.driving import Driver, Metered, accepted, closed

from siliconflow_voice.emulator.quotas import Quota
from siliconflow_voice.throttle.opening import AT_FIRST, ROUND
from siliconflow_voice.throttle.paced import Paced
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.phases import Closed, Reopened, Window
from siliconflow_voice.throttle.traffic import Permit


def at_once(driver: Driver) -> int:
    """How many may go at once, with none under way before."""
    count = 0
    while driver.is_open():
        driver.send()
        count += 1
    return count


def phase_of(driver: Driver) -> type:
    return type(driver.pace.phase)


# Opening.


def test_a_few_go_at_once_at_first() -> None:
    assert at_once(Driver()) == AT_FIRST


def test_each_round_of_answers_doubles_them() -> None:
    driver, counts = Driver(), list[int]()
    for _ in range(4):
        permits = list[Permit]()
        while driver.is_open():
            permits.append(driver.send())
        counts.append(len(permits))
        for permit in permits:
            driver.answer(permit, accepted=True)
    assert counts == [AT_FIRST * 2**round_ for round_ in range(4)]


def test_where_answers_take_long_they_double_without_one() -> None:
    driver, counts = Driver(), list[int]()
    for _ in range(4):
        counts.append(at_once(driver))
        driver.now += ROUND
    assert counts == [AT_FIRST, AT_FIRST, 2 * AT_FIRST, 4 * AT_FIRST]


def test_a_declared_limit_opens_at_once_as_far_as_it_goes() -> None:
    assert at_once(Driver(Pace(60.0, 40))) == 40


def test_nothing_is_believed_before_the_first_refusal() -> None:
    driver = accepted(100)
    assert (driver.pace.limit, driver.pace.basis) == (None, None)


def test_answers_that_say_nothing_open_nothing() -> None:
    driver = Driver()
    for _ in range(100):
        driver.try_one(accepted=None)
    assert at_once(driver) == AT_FIRST


# Closed.


def test_what_was_accepted_within_a_window_is_taken_for_the_limit() -> None:
    driver = closed(10)
    assert (driver.pace.limit, driver.pace.basis) == (10, "believed")


def test_what_was_accepted_long_ago_is_not() -> None:
    driver = accepted(10)
    driver.now = 3000
    driver.try_one(accepted=False, after=0.5)
    assert driver.pace.limit is None


def test_what_is_accepted_late_raises_the_limit_and_what_is_refused_late_is_no_news() -> None:
    driver = accepted(10)
    permits = [driver.send() for _ in range(4)]
    for permit, verdict in zip(permits, (False, True, True, False), strict=True):
        driver.answer(permit, accepted=verdict)
    assert (driver.pace.limit, phase_of(driver)) == (12, Closed)


def test_what_is_accepted_late_is_a_limit_where_there_was_none() -> None:
    driver = Driver()
    permits = [driver.send() for _ in range(4)]
    for permit, verdict in zip(permits, (False, True, True, True), strict=True):
        driver.answer(permit, accepted=verdict, after=0.1)
    assert driver.pace.limit == 3


def test_one_probe_goes_at_a_time_and_not_before_all_is_known() -> None:
    driver = accepted(10)
    first, second = driver.send(), driver.send()
    driver.answer(first, accepted=False, after=0.5)
    assert driver.ready() is None
    driver.answer(second, accepted=False)
    assert driver.send().trial
    assert driver.ready() is None


def test_probes_come_three_times_as_late_each_time_up_to_half_a_window() -> None:
    driver, answered = closed(10), list[float]()
    began = driver.now
    while phase_of(driver) is Closed:
        driver.try_one(accepted=False, after=0.5)
        answered.append(driver.now - began)
    assert answered == pytest.approx([2.5, 8, 24.5, 30.5])


def test_a_probe_that_says_nothing_is_sent_again() -> None:
    driver = closed(10)
    assert driver.try_one(accepted=None).trial
    assert driver.send().trial


def test_after_half_a_window_the_end_of_it_decides() -> None:
    driver = closed(10)
    while phase_of(driver) is Closed:
        driver.try_one(accepted=False, after=0.5)
    assert (driver.pace.limit, driver.pace.basis) == (10, "believed")
    assert driver.wait() + driver.now > 60
    driver.try_all(*[True] * 5)
    assert driver.pace.basis == "learned"


def test_where_nothing_was_ever_accepted_it_asks_more_and_more_seldom() -> None:
    driver, gaps = Driver(), list[float]()
    driver.try_one(accepted=False, after=0.5)
    for _ in range(6):
        gaps.append(driver.wait())
        driver.try_one(accepted=False, after=0.5)
    assert gaps == sorted(gaps)
    assert gaps[-1] == 30
    assert driver.pace.limit is None
    driver.try_all(*[True] * 5, False)
    assert phase_of(driver) is Paced


def test_one_that_tells_nothing_of_a_window_is_followed_evenly() -> None:
    driver = closed(1)
    while phase_of(driver) is Closed:
        driver.try_one(accepted=False, after=0.5)
    assert phase_of(driver) is Paced
    assert driver.pace.limit == pytest.approx(1)


# Reopened what a probe means.


def probed(*, before: int = 10) -> Driver:
    """One whose first probe was accepted."""
    driver = closed(before)
    driver.try_one(accepted=True, after=0.5)
    assert phase_of(driver) is Reopened
    return driver


def test_as_much_as_before_is_a_new_window_and_its_beginning_is_known() -> None:
    driver = probed()
    opened_at = driver.now - 0.5
    driver.try_all(*[True] * 9)
    assert phase_of(driver) is Window
    driver.try_one(accepted=False)  # to see that it was no bucket
    assert (driver.pace.limit, driver.pace.basis) == (10, "learned")
    driver.wait()
    assert driver.now == pytest.approx(opened_at + 60)
    assert at_once(driver) == 10


def test_a_refusal_after_half_of_it_is_the_new_windows_limit() -> None:
    driver = probed()
    driver.try_all(*[True] * 5, False)
    assert (phase_of(driver), driver.pace.limit) == (Window, 6)


def test_little_is_an_even_refill() -> None:
    driver = probed()
    driver.try_one(accepted=False)
    assert phase_of(driver) is Paced
    assert driver.pace.limit == 24  # one within two seconds and a half


def test_what_is_accepted_again_as_fast_was_no_window() -> None:
    driver = probed()
    driver.try_all(*[True] * 9)
    driver.try_one(accepted=True, after=0.5)
    assert phase_of(driver) is Paced
    assert driver.pace.basis == "believed"


def test_no_more_than_the_limit_is_sent_to_test_it() -> None:
    driver = probed()
    for _ in range(4):
        driver.try_one(accepted=True)
    assert at_once(driver) == 5
    assert driver.ready() is None


# By windows.


def known() -> Driver:
    """One that knows when its windows begin, at the beginning of one."""
    driver = probed()
    driver.try_all(*[True] * 9)
    driver.try_one(accepted=False)
    driver.wait()
    return driver


def test_a_refusal_in_a_known_window_lowers_the_limit_and_puts_it_in_question() -> None:
    driver = known()
    driver.try_all(*[True] * 7, False)
    assert (driver.pace.limit, driver.pace.basis) == (7, "believed")
    driver.send()
    assert driver.now < 62.5 + 60


def test_what_is_accepted_late_in_a_window_raises_its_limit() -> None:
    driver = known()
    driver.try_all(*[True] * 6)
    first, second, third = driver.send(), driver.send(), driver.send()
    driver.answer(first, accepted=False)
    driver.answer(second, accepted=True)
    driver.answer(third, accepted=False)
    assert driver.pace.limit == 7


def test_a_trial_that_is_answered_after_another_refusal_is_no_news() -> None:
    driver = closed(10)
    while phase_of(driver) is Closed:
        driver.try_one(accepted=False, after=0.5)
    driver.try_all(*[True] * 8)
    driver.now += 300
    driver.try_all(*[True] * 10)
    trial = driver.send()
    assert trial.trial
    driver.now += 70
    driver.try_one(accepted=False)
    limit = driver.pace.limit
    driver.answer(trial, accepted=True)
    assert driver.pace.limit == limit
    assert driver.ready() is not None


@pytest.mark.parametrize("phase", range(0, 60, 5))
def test_fixed_windows_are_learned_whenever_they_begin(phase: float) -> None:
    metered = Metered.of(Quota(requests=20, phase=phase))
    metered.run_until(600)
    assert len(metered.sent) - len(metered.refusals) >= 195
    assert len(metered.refusals) <= 12


def test_a_little_more_is_tried_more_seldom_each_time_in_vain() -> None:
    metered = Metered.of(Quota(requests=10, kind="sliding"))
    metered.run_until(4000)
    trials = [at for at in metered.trials if at > 100]
    gaps = [later - earlier for earlier, later in itertools.pairwise(trials)]
    assert gaps == pytest.approx([480, 960, 1920][: len(gaps)], abs=40)
    assert metered.driver.pace.limit == 10


@pytest.mark.parametrize("kind", ["fixed", "sliding"])
def test_a_limit_that_was_raised_is_found_again(kind: str) -> None:
    metered = Metered.of(Quota(requests=10, kind=kind))  # type: ignore[arg-type] # on purpose
    metered.run_until(100)
    metered.meter.quota = Quota(requests=100, kind=kind)  # type: ignore[arg-type] # on purpose
    metered.run_until(1500)
    assert (metered.driver.pace.limit or 0) >= 70


@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_a_limit_that_was_lowered_is_found_out(kind: str) -> None:
    metered = Metered.of(Quota(requests=100, kind=kind))  # type: ignore[arg-type] # on purpose
    metered.run_until(130)
    metered.meter.quota = Quota(requests=20, kind=kind)  # type: ignore[arg-type] # on purpose
    metered.run_until(900)
    assert 15 <= (metered.driver.pace.limit or 0) <= 40
    refused = [at for at in metered.refusals if at > 400]
    assert len(refused) <= 20


def test_what_costs_more_than_the_limit_goes_when_nothing_else_counts_any_more() -> None:
    driver = Driver()
    driver.try_one(accepted=True, cost=40, after=0.5)
    driver.try_one(accepted=False, cost=90, after=0.5)
    while driver.now < 59:
        driver.try_one(accepted=False, cost=90, after=0.5)
    driver.try_one(accepted=True, cost=90)
    assert driver.now <= 200


# Evenly.


def paced() -> Driver:
    driver = probed()
    driver.try_one(accepted=False)
    return driver


def limit_of(driver: Driver) -> float:
    limit = driver.pace.limit
    assert limit is not None
    return limit


def test_after_a_refusal_one_goes_and_the_others_wait_for_its_answer() -> None:
    driver = paced()
    permit = driver.send()
    assert driver.ready() is None
    driver.answer(permit, accepted=True)
    assert driver.ready() is not None


def test_probes_in_vain_go_at_twice_the_distance_each_time_up_to_half_a_window() -> None:
    driver, gaps = paced(), list[float]()
    for _ in range(6):
        gaps.append(driver.wait())
        driver.try_one(accepted=False)
    assert gaps[1:3] == pytest.approx([2 * gaps[0], 4 * gaps[0]], rel=0.2)
    assert gaps[-1] == 30


def test_requests_go_evenly_and_by_their_cost() -> None:
    driver = paced()
    driver.try_all(*[True] * 4, False, True)
    driver.send(1)
    after_one = driver.wait(1)
    driver.send(3)
    assert driver.wait(1) == pytest.approx(3 * after_one)


def test_a_refusal_measures_what_was_refilled_since_the_last() -> None:
    driver = paced()
    driver.try_one(accepted=False)
    began = driver.now
    driver.try_all(*[True] * 40, False)
    assert limit_of(driver) == pytest.approx(40 / (driver.now - began) * 60, rel=0.1)
    assert driver.pace.basis == "learned"


def test_what_is_accepted_late_counts_as_refilled() -> None:
    limits = list[float]()
    for late in (True, None):
        driver = paced()
        driver.try_all(*[True] * 4)
        permits = [driver.send() for _ in range(6)]
        driver.answer(permits[0], accepted=False)
        for permit in permits[1:]:
            driver.answer(permit, accepted=late)
        driver.try_all(True, True, False)
        limits.append(limit_of(driver))
    assert limits[0] > limits[1]


def test_what_is_sent_seldom_proves_nothing() -> None:
    driver = paced()
    driver.try_all(True, True, True, False, True)
    before = limit_of(driver)
    for _ in range(10):
        driver.now += 100
        driver.try_one(accepted=True)
    assert limit_of(driver) == before
    driver.try_one(accepted=False)
    assert limit_of(driver) == before


@pytest.mark.parametrize("burst", [1, 10, 60])
def test_a_service_that_refills_evenly_is_used_to_the_full(burst: int) -> None:
    metered = Metered.of(Quota(requests=60, kind="bucket", burst=burst))
    metered.run_until(1200)
    accepted_ = len(metered.sent) - len(metered.refusals)
    assert accepted_ >= 0.88 * 1200
    assert len(metered.refusals) <= 0.06 * len(metered.sent)
