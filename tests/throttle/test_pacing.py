from __future__ import annotations

import pytest
from support.driving import Driver, closed, settled


def at_once(driver: Driver) -> int:
    """How many may go at once, with none under way before."""
    count = 0
    while driver.is_open():
        driver.send()
        count += 1
    return count


def after_accepted(count: int, *, latency: float = 0.0) -> Driver:
    driver = Driver()
    for _ in range(count):
        driver.try_one(accepted=True, after=latency)
    return driver


def next_to(driver: Driver) -> float:
    """When the next may go."""
    at = driver.ready()
    assert at is not None
    return at


# Opening.


def test_a_few_go_at_once_at_first_and_the_others_wait_for_an_answer() -> None:
    driver = Driver()
    assert at_once(driver) == 3
    assert driver.ready() is None


def test_nothing_is_believed_before_the_first_refusal() -> None:
    assert after_accepted(100).pace.limit is None


def test_more_go_at_once_with_every_one_that_is_accepted() -> None:
    counts = [at_once(after_accepted(accepted)) for accepted in (0, 10, 40, 160, 640)]
    assert counts == sorted(set(counts))


def test_where_answers_are_slow_more_go_at_once_with_time_too() -> None:
    fast, slow = after_accepted(6), after_accepted(6, latency=10)
    fast.now = slow.now = 60
    assert at_once(slow) >= at_once(fast) + 20


def test_answers_that_say_nothing_open_nothing() -> None:
    driver = Driver()
    for _ in range(100):
        driver.try_one(accepted=None)
    assert at_once(driver) == 3


# Closed: the limit is learned.


def test_what_was_accepted_within_a_window_is_taken_for_the_limit() -> None:
    assert closed(10).pace.limit == 10


def test_what_was_accepted_long_ago_is_not() -> None:
    driver = after_accepted(10)
    driver.now = 3000
    driver.try_one(accepted=False)
    assert driver.pace.limit == 1
    assert next_to(driver) <= driver.now + 61


def test_after_an_hours_rest_a_row_of_refusals_is_no_deadlock() -> None:
    driver = after_accepted(10)
    driver.now = 3600
    driver.try_all(*[False] * 20)
    driver.try_one(accepted=True)
    assert driver.now < 3600 + 21 * 61


def test_what_is_accepted_late_raises_the_limit() -> None:
    driver = after_accepted(5)
    first, second, third = driver.send(), driver.send(), driver.send()
    driver.answer(first, accepted=False)
    assert driver.pace.limit == 5
    driver.answer(second, accepted=True)
    driver.answer(third, accepted=True)
    assert driver.pace.limit == 7


def test_what_is_refused_late_is_no_news() -> None:
    driver = after_accepted(5)
    first, second, third = driver.send(), driver.send(), driver.send()
    for let in (first, second, third):
        driver.answer(let, accepted=False)
    assert driver.pace.limit == 5


def test_a_window_that_is_full_opens_as_it_ages_out() -> None:
    driver = settled(10)  # with three refusals, which may count as well
    assert next_to(driver) == pytest.approx(60 + 3, abs=0.13)


# Closed: probes.


def test_a_probe_goes_before_the_window_has_room() -> None:
    driver = closed(10)
    assert driver.send().trial
    assert 10 < driver.now < 60


def test_one_probe_goes_at_a_time() -> None:
    driver = closed(10)
    driver.send()
    assert next_to(driver) >= 60


def test_no_probe_goes_before_all_is_known_of_what_was_sent_before() -> None:
    driver = after_accepted(10)
    first, second = driver.send(), driver.send()
    driver.answer(first, accepted=False)
    assert next_to(driver) >= 60
    driver.answer(second, accepted=False)
    assert next_to(driver) < 60


def test_a_probe_that_says_nothing_is_tried_again() -> None:
    driver = closed(10)
    assert driver.try_one(accepted=None).trial
    assert driver.send().trial


@pytest.mark.parametrize("said", [None, False, True])
def test_a_probe_that_is_answered_after_another_refusal_is_no_news(said: bool | None) -> None:
    driver = closed(10)
    probe = driver.send()
    driver.now = 75
    assert not driver.try_one(accepted=False).trial
    driver.answer(probe, accepted=said)
    driver.now += 300
    while driver.is_open():
        driver.try_one(accepted=True)
    assert driver.send().trial


def test_the_second_probe_comes_later_by_what_the_refusals_may_have_cost() -> None:
    driver = closed(10)
    first = driver.wait()
    driver.try_one(accepted=False)
    assert driver.wait() > 2 * first


def met_within_a_moment() -> Driver:
    driver = after_accepted(10, latency=0.1)
    driver.try_one(accepted=False, after=0.1)
    return driver


def test_a_limit_that_was_met_within_a_moment_may_be_one_a_second_and_is_probed_as_soon() -> None:
    driver = met_within_a_moment()
    assert driver.wait() == pytest.approx(1.1, abs=0.5)
    assert driver.try_one(accepted=True).trial
    assert (driver.pace.limit or 0) > 30


def test_that_early_probe_is_one_more_than_the_others() -> None:
    driver = met_within_a_moment()
    assert [driver.try_one(accepted=False).trial for _ in range(3)] == [True, True, True]
    assert driver.now < 60
    assert not driver.send().trial


def test_two_probes_in_vain_settle_that_it_is_a_window() -> None:
    driver = closed(10)
    assert [driver.try_one(accepted=False).trial for _ in range(2)] == [True, True]
    assert not driver.send().trial
    assert driver.now >= 60
    assert driver.pace.limit == 10


def test_a_probe_that_is_accepted_shows_that_the_service_refills_evenly() -> None:
    driver = closed(10)
    driver.try_one(accepted=True)
    assert driver.now < 60
    gaps = list[float]()
    for _ in range(3):
        driver.send()
        gaps.append(driver.wait())
    assert gaps == pytest.approx([gaps[0]] * 3)
    assert driver.pace.limit == pytest.approx(60 / gaps[0])


def test_what_the_window_itself_lets_pass_settles_it_as_well() -> None:
    driver = closed(10)
    driver.try_one(accepted=False)
    driver.now = 75
    assert not driver.try_one(accepted=True).trial
    while driver.is_open():
        driver.try_one(accepted=True)
    assert not driver.send().trial
