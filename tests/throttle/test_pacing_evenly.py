from __future__ import annotations

import pytest
from support.driving import Driver, Metered

from siliconflow_voice.emulator.quotas import Quota
from siliconflow_voice.throttle.phases import _GROWTH


def asking() -> Driver:
    """A pace that was refused at once."""
    driver = Driver()
    driver.try_one(accepted=False)
    return driver


def limit_of(driver: Driver) -> float:
    limit = driver.pace.limit
    assert limit is not None
    return limit


def measured(accepted: int = 12) -> Driver:
    """One that grew until it was refused, and so has measured what refills."""
    driver = asking()
    driver.try_all(*[True] * accepted, False)
    return driver


# Nothing was ever accepted.


def test_where_nothing_was_ever_accepted_it_asks_more_and_more_seldom() -> None:
    driver, gaps = asking(), list[float]()
    for _ in range(12):
        gaps.append(driver.wait())
        driver.try_one(accepted=False)
    assert gaps[:3] == pytest.approx([2, 4, 8])
    assert 8 < gaps[3] < 30
    assert gaps[4:] == pytest.approx([30] * 8)


def test_it_asks_with_one_request_at_a_time() -> None:
    driver = asking()
    driver.send()
    driver.now += 1000
    assert driver.ready() is None


def test_a_question_without_an_answer_is_asked_again() -> None:
    driver = asking()
    driver.try_one(accepted=None)
    assert driver.ready() is not None


def test_once_one_is_accepted_the_next_ones_do_not_wait_for_its_answer() -> None:
    driver = asking()
    driver.try_one(accepted=True)
    for _ in range(5):
        driver.send()


def test_what_costs_nothing_is_asked_for_as_well() -> None:
    driver = Driver()
    driver.try_one(accepted=True, cost=0)
    driver.try_one(accepted=False, cost=0)
    assert driver.wait(0) == pytest.approx(2)
    driver.try_one(accepted=True, cost=0)


# Growth.


def test_it_speeds_up_with_each_round_that_is_accepted() -> None:
    driver, limits = asking(), list[float]()
    for _ in range(5):
        driver.try_one(accepted=True)
        limits.append(limit_of(driver))
    assert limits == pytest.approx([30 * _GROWTH**round_ for round_ in range(1, 6)])


def test_answers_of_one_round_speed_it_up_once() -> None:
    driver = asking()
    driver.try_one(accepted=True)
    lets = [driver.send() for _ in range(4)]
    for let in lets:
        driver.answer(let, accepted=True, after=0.1)
    assert limit_of(driver) == pytest.approx(30 * _GROWTH**2)


def test_what_is_sent_seldom_proves_nothing() -> None:
    driver = asking()
    for _ in range(10):
        driver.now += 60
        driver.try_one(accepted=True)
    assert limit_of(driver) == 30


def test_requests_go_evenly_and_by_their_cost() -> None:
    driver = measured()
    driver.try_one(accepted=True)
    driver.send(1)
    after_one = driver.wait()
    driver.send(3)
    assert driver.wait() == pytest.approx(3 * after_one)


def test_what_refilled_while_a_probe_was_under_way_is_not_lost() -> None:
    slow, fast = asking(), asking()
    slow.try_one(accepted=True, after=10)
    fast.try_one(accepted=True)
    slow.now = fast.now = 100
    slow.send()
    fast.send()
    assert slow.wait() == 0
    assert fast.wait() > 0


# Refusals.


def test_a_refusal_ends_the_growth_with_what_was_seen_to_refill() -> None:
    driver = asking()
    driver.try_one(accepted=True)
    for let in [driver.send() for _ in range(20)]:
        driver.answer(let, accepted=True, after=0.01)
    driver.try_one(accepted=False)
    assert limit_of(driver) == pytest.approx(60 * 21 / driver.now)
    assert limit_of(driver) < 30 * _GROWTH**2


def test_one_refusal_alone_takes_no_more_than_two_rounds_back() -> None:
    driver = asking()
    driver.try_all(*[True] * 12, False)
    assert limit_of(driver) == pytest.approx(30 * _GROWTH**10)


def test_later_refusals_count_by_how_much_was_seen_before_them() -> None:
    little, much = measured(), measured()
    before = limit_of(little)
    little.try_all(True, False)
    much.try_all(*[True] * 40)
    higher = limit_of(much)
    much.try_one(accepted=False)
    assert 0.8 * before < limit_of(little) < before
    assert 0.8 * higher < limit_of(much) < higher


def test_after_a_refusal_one_probe_goes_and_the_others_wait_for_its_answer() -> None:
    driver = measured()
    probe = driver.send()
    assert driver.ready() is None
    driver.answer(probe, accepted=True)
    assert driver.ready() is not None


def test_probes_in_vain_go_at_twice_the_distance_each_time() -> None:
    driver, gaps = measured(), list[float]()
    for _ in range(3):
        gaps.append(driver.wait())
        driver.try_one(accepted=False)
    assert gaps == pytest.approx([gaps[0], 2 * gaps[0], 4 * gaps[0]])


def test_many_probes_in_vain_show_that_less_refills_than_was_thought() -> None:
    driver = measured()
    before = limit_of(driver)
    driver.try_all(False, False)
    assert limit_of(driver) == before
    driver.try_all(False, False)
    assert limit_of(driver) == pytest.approx(before * 0.7**2)


def test_what_is_refused_late_is_a_debt() -> None:
    driver = measured()
    driver.try_all(True, True)
    lets = [driver.send() for _ in range(4)]
    driver.answer(lets[0], accepted=False)
    at = driver.ready()
    assert at is not None
    for let in lets[1:]:
        driver.answer(let, accepted=False)
    later = driver.ready()
    assert later is not None
    assert later - at == pytest.approx(3 * 60 / limit_of(driver))


def test_what_is_accepted_late_counts_as_refilled() -> None:
    limits = list[float]()
    for late in (True, None):
        driver = measured()
        driver.try_one(accepted=True)
        lets = [driver.send() for _ in range(6)]
        driver.answer(lets[0], accepted=False)
        for let in lets[1:]:
            driver.answer(let, accepted=late)
        driver.now += 0.1
        driver.try_all(True, False)
        limits.append(limit_of(driver))
    assert limits[0] > limits[1]


# Creeping.


def test_once_it_was_measured_it_creeps_up_and_ever_faster() -> None:
    driver = measured()
    shares = list[float]()
    for _ in range(300):
        before = limit_of(driver)
        driver.try_one(accepted=True)
        shares.append(limit_of(driver) / before - 1)
    assert shares[0] < 0.01
    assert shares == pytest.approx(sorted(shares))
    assert shares[-1] == pytest.approx(0.05)


def test_a_refusal_starts_it_over() -> None:
    driver = measured()
    driver.try_all(*[True] * 60, False)
    before = limit_of(driver)
    driver.try_one(accepted=True)
    assert limit_of(driver) / before < 1.01


@pytest.mark.parametrize("burst", [10, 60])
def test_a_service_that_refills_evenly_is_used_to_the_full(burst: int) -> None:
    metered = Metered.of(Quota(requests=60, kind="bucket", burst=burst))
    metered.run_until(1200)
    accepted = len(metered.sent) - len(metered.refusals)
    assert accepted >= 0.92 * 1200
    assert len(metered.refusals) <= 0.1 * len(metered.sent)
