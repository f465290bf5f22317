from __future__ import annotations

import itertools

import pytest
from support.driving import Driver, Metered, closed, settled

from siliconflow_voice.emulator.quotas import Quota

# Creeping.


def test_a_little_more_is_tried_after_two_windows_and_more_seldom_each_time_in_vain() -> None:
    metered = Metered.of(Quota(requests=10, kind="sliding"))
    metered.run_until(3000)
    creeping = metered.trials[2:]
    gaps = [later - earlier for earlier, later in itertools.pairwise(creeping)]
    assert creeping[0] == pytest.approx(metered.trials[1] + 120, abs=30)
    assert gaps == pytest.approx([240, 480, 960], abs=30)
    assert metered.driver.pace.limit == 10


def test_one_such_trial_goes_at_a_time() -> None:
    metered = Metered.of(Quota(requests=10, kind="sliding"))
    metered.run_until(146)
    driver = metered.driver
    driver.now = 1000
    while driver.is_open():
        driver.try_one(accepted=True)
    assert driver.send().trial
    assert not driver.send().trial


def test_trials_that_go_well_raise_the_limit_by_twice_as_much_each_time() -> None:
    driver, limits = settled(10), list[float]()
    driver.now += 300
    while len(limits) < 5:
        if driver.try_one(accepted=True).trial:
            limits.append(driver.pace.limit or 0)
    assert limits == [11, 13, 17, 25, 41]


def test_after_a_trial_that_went_well_vain_ones_begin_again_at_two_windows() -> None:
    metered = Metered.of(Quota(requests=10, kind="sliding"))
    metered.run_until(1000)  # by then, the distance is 16 windows
    metered.meter.quota = Quota(requests=11, kind="sliding")
    metered.run_until(2100)
    well, *in_vain = metered.trials[5:]
    assert metered.driver.pace.limit == 11
    assert [at - well for at in in_vain] == pytest.approx([0, 120], abs=30)


def test_a_limit_that_was_raised_is_found_again() -> None:
    metered = Metered.of(Quota(requests=10, kind="sliding"))
    metered.run_until(100)
    metered.meter.quota = Quota(requests=100, kind="sliding")
    metered.run_until(400)
    assert (metered.driver.pace.limit or 0) >= 70


def test_a_refusal_after_trials_that_went_well_falls_back_to_what_was_proven() -> None:
    driver = settled(10)
    driver.now += 300
    while (driver.pace.limit or 0) == 10:
        driver.try_one(accepted=True)
    assert driver.pace.limit == 11
    driver.now += 300
    driver.try_one(accepted=False)
    assert driver.pace.limit == 10


def test_so_few_that_trials_prove_nothing_are_sent_one_by_one() -> None:
    driver = closed(2)
    driver.try_one(accepted=False)
    driver.now = 75
    driver.try_one(accepted=True)
    driver.now += 300
    while (driver.pace.limit or 0) == 2:
        driver.try_one(accepted=True)
    driver.now += 61
    driver.try_one(accepted=False)
    assert driver.pace.limit == pytest.approx(2)
    assert driver.wait() == pytest.approx(30)


# The limit falls.


def fill(driver: Driver, count: int) -> None:
    driver.try_all(*[True] * count)


def test_a_refusal_below_the_limit_lowers_it_to_what_was_accepted() -> None:
    driver = settled(10)
    driver.now += 61
    fill(driver, 6)
    driver.try_one(accepted=False)
    assert driver.pace.limit == 6


def test_two_of_them_within_two_windows_show_that_it_is_no_window() -> None:
    driver = settled(10)
    driver.now += 61
    fill(driver, 6)
    driver.try_one(accepted=False)
    driver.now += 61
    fill(driver, 3)
    driver.try_one(accepted=False)
    gap = driver.wait()
    assert driver.pace.limit == pytest.approx(60 / gap)
    assert gap > 1


def test_two_of_them_far_apart_do_not() -> None:
    driver = settled(10)
    for count in (6, 3):
        driver.now += 130
        fill(driver, count)
        driver.try_one(accepted=False)
    assert driver.pace.limit == 3


# What alone costs more than the limit.


def test_what_costs_more_than_the_limit_goes_when_nothing_else_counts_any_more() -> None:
    driver = Driver()
    driver.try_one(accepted=True, cost=40)
    driver.try_one(accepted=False, cost=90)
    driver.try_one(accepted=False, cost=90)
    driver.try_one(accepted=False, cost=90)
    before = driver.now
    assert (driver.pace.limit or 0) < 90
    driver.try_one(accepted=True, cost=90)
    assert before < driver.now <= before + 61


def test_it_waits_for_what_is_under_way() -> None:
    driver = Driver()
    driver.try_one(accepted=True, cost=40)
    driver.try_all(False, False, False)
    driver.now += 61
    under_way = driver.send()
    assert driver.ready(90) is None
    driver.answer(under_way, accepted=True)
    assert driver.ready(90) is not None
