from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.terminal import Clock, outcome

from siliconflow_voice import Attempt, AttemptEvent, Failure, SettleEvent, Throttle, WaitEvent
from siliconflow_voice.cli.stats import Kind, Stats, ThrottleState, Timeline, kind_of, throttle_state
from siliconflow_voice.errors import OverloadedError
from siliconflow_voice.throttle.limiter import Verdict


@pytest.fixture
def clock() -> Clock:
    return Clock()


def new(clock: Clock, total: int = 100) -> Stats:
    return Stats(total, now=clock)


def attempt(status: int | None = 200, failure: Failure | None = None) -> Attempt:
    return Attempt(1, 0.0, 0.1, status=status, failure=failure)


def event(operation: str = "upload_voice", **facts: Any) -> AttemptEvent:
    return AttemptEvent(1, operation, "narrator", attempt(**facts))


@pytest.mark.parametrize(
    ("status", "failure", "kind"),
    [
        (200, None, "accepted"),
        (200, Failure.UNKNOWN, "other_error"),
        (429, Failure.REFUSED, "rate_limited"),
        (503, Failure.REFUSED, "overloaded"),
        (None, Failure.UNKNOWN, "no_answer"),
        (400, Failure.FINAL, "other_error"),
        (500, Failure.UNKNOWN, "other_error"),
    ],
)
def test_attempts_are_of_five_kinds(status: int | None, failure: Failure | None, kind: Kind) -> None:
    assert kind_of(attempt(status, failure)) == kind


def test_outcomes_are_counted_by_what_they_came_to(clock: Clock) -> None:
    stats = new(clock)
    stats.outcome(outcome(2, "uploaded", size=100))
    stats.outcome(outcome(3, "recovered", size=10))
    stats.outcome(outcome(4, "skipped", size=1000))
    stats.outcome(outcome(5, "failed", size=1000))
    stats.outcome(outcome(6, "uploaded", size=None))
    assert dict(stats.statuses) == {"uploaded": 2, "recovered": 1, "skipped": 1, "failed": 1}
    assert (stats.done, stats.sent_bytes) == (5, 110)


def test_attempts_of_uploads_are_counted_and_put_on_the_timeline(clock: Clock) -> None:
    stats = new(clock)
    stats.event(event())
    clock.now = 2.5
    stats.event(event(status=503, failure=Failure.REFUSED))
    assert dict(stats.attempts) == {"accepted": 1, "overloaded": 1}
    assert [dict(bucket.attempts) for bucket in stats.timeline.buckets] == [
        {"accepted": 1},
        {},
        {"overloaded": 1},
    ]


def test_listings_and_waits_are_no_attempts_of_uploads(clock: Clock) -> None:
    stats = new(clock)
    stats.event(event("list_voices"))
    stats.event(WaitEvent(1, "upload_voice", "narrator", 1.0, OverloadedError("busy", status=503)))
    assert (stats.attempts.total(), stats.timeline.buckets) == (0, [])


def test_what_is_left_until_the_last_run_has_settled_is_counted_down(clock: Clock) -> None:
    stats = new(clock)
    assert stats.settling == 0.0
    clock.now = 1.0
    stats.event(SettleEvent(1, "upload_many", "voices.journal", 4.0, 2))
    assert stats.settling == 4.0
    clock.now = 4.0
    assert stats.settling == 1.0
    clock.now = 6.0
    assert stats.settling == 0.0


def test_a_gauge_keeps_the_most_that_were_under_way_and_the_latest_limit(clock: Clock) -> None:
    stats = new(clock)
    for in_flight, limit in ((3, None), (7, 60.0), (2, 50.0)):
        stats.sample(in_flight=in_flight, limit=limit)
    (bucket,) = stats.timeline.buckets
    assert (bucket.in_flight, bucket.limit) == (7, 50.0)


def test_rates_are_those_of_the_last_minute(clock: Clock) -> None:
    stats = new(clock)
    for second in range(121):
        clock.now = float(second)
        stats.sample(in_flight=1, limit=None)
        # Two a second in the first minute, one in the second.
        for _ in range(2 if second < 60 else 1):
            stats.outcome(outcome(size=500))
    assert stats.rates() == (1.0, 500.0)


def test_what_was_skipped_says_nothing_of_the_rate(clock: Clock) -> None:
    stats = new(clock)
    stats.sample(in_flight=1, limit=None)
    for _ in range(50):
        stats.outcome(outcome(status="skipped"))
    clock.now = 1.0
    stats.sample(in_flight=1, limit=None)
    assert (stats.rates(), stats.remaining()) == ((0.0, 0.0), None)


def test_no_time_is_no_rate(clock: Clock) -> None:
    stats = new(clock)
    assert stats.rates() == (0.0, 0.0)
    stats.sample(in_flight=1, limit=None)
    stats.outcome(outcome())
    stats.sample(in_flight=1, limit=None)
    assert stats.rates() == (0.0, 0.0)


def rushed(clock: Clock, limit: float | None) -> Stats:
    """Give a run of 100 that has done 60 in its first second."""
    stats = new(clock)
    stats.sample(in_flight=16, limit=None)
    for _ in range(60):
        stats.outcome(outcome())
    clock.now = 1.0
    stats.sample(in_flight=0, limit=limit)
    return stats


def test_the_rest_takes_as_long_as_the_limit_says(clock: Clock) -> None:
    assert rushed(clock, 60.0).remaining() == 40.0


def test_the_rest_takes_as_long_as_at_the_rate_so_far_where_no_limit_is_known(clock: Clock) -> None:
    assert rushed(clock, None).remaining() == pytest.approx(40 / 60)


def test_what_is_left_is_counted_down_while_nothing_is_done(clock: Clock) -> None:
    stats = rushed(clock, 60.0)
    lefts = []
    for second in (1.0, 1.25, 11.0, 40.0):
        clock.now = second
        stats.sample(in_flight=1, limit=60.0)
        lefts.append(stats.remaining())
    assert lefts == [40.0, 39.75, 30.0, 1.0]


def test_and_is_estimated_anew_when_something_is_done_or_the_limit_is_another(clock: Clock) -> None:
    stats = rushed(clock, 60.0)
    clock.now = 11.0
    stats.sample(in_flight=1, limit=30.0)
    assert stats.remaining() == 80.0
    clock.now = 21.0
    for _ in range(10):
        stats.outcome(outcome())
    stats.sample(in_flight=1, limit=30.0)
    assert stats.remaining() == 60.0


def test_it_grows_once_nothing_was_done_for_longer_than_that(clock: Clock) -> None:
    stats = rushed(clock, 60.0)
    lefts = []
    for second in (41.0, 50.0, 90.0):
        clock.now = second
        stats.sample(in_flight=1, limit=60.0)
        lefts.append(stats.remaining())
    assert lefts == [40 * 41 / 60, 40 * 50 / 60, 40 * 90 / 60]


def test_quota_that_is_waited_for_is_counted(clock: Clock) -> None:
    stats = rushed(clock, 60.0)
    lefts = []
    for second, opens_in in ((35.0, 24.0), (45.0, 14.0), (58.0, 1.0)):
        clock.now = second
        stats.sample(in_flight=0, limit=60.0, opens_in=opens_in)
        lefts.append(stats.remaining())
    # The forty that are left may all go then.
    assert lefts == [24.0, 14.0, 1.0]


def test_so_are_the_windows_that_follow(clock: Clock) -> None:
    stats = new(clock)
    stats.total = 400
    stats.sample(in_flight=16, limit=None)
    for _ in range(60):
        stats.outcome(outcome())
    clock.now = 1.0
    stats.sample(in_flight=0, limit=60.0)
    lefts = []
    for second in (1.0, 31.0, 59.0):
        clock.now = second
        stats.sample(in_flight=0, limit=60.0, opens_in=60.0 - second)
        lefts.append(stats.remaining())
    assert lefts == [340.0, 310.0, 282.0]


def test_a_limit_that_is_not_reached_says_nothing(clock: Clock) -> None:
    assert rushed(clock, 60_000.0).remaining() == pytest.approx(40 / 60)


def test_a_manifest_that_has_grown_leaves_nothing_to_wait_for(clock: Clock) -> None:
    stats = rushed(clock, 60.0)
    stats.total = 50
    assert stats.remaining() == 0.0


@given(st.lists(st.floats(0, 3e6), max_size=60))
def test_a_timeline_has_at_most_240_buckets_and_loses_nothing(moments: list[float]) -> None:
    timeline = Timeline()
    for moment in moments:
        timeline.at(moment).attempts["accepted"] += 1
    assert len(timeline.buckets) <= 240
    assert sum(bucket.attempts["accepted"] for bucket in timeline.buckets) == len(moments)


@given(st.lists(st.floats(0, 3e6), min_size=1, max_size=60))
def test_each_moment_is_in_the_bucket_of_its_time(moments: list[float]) -> None:
    timeline = Timeline()
    for moment in moments:
        timeline.at(moment).attempts["accepted"] += 1
    places = {int(moment / timeline.width) for moment in moments}
    assert places == {place for place, bucket in enumerate(timeline.buckets) if bucket.attempts}


def test_of_two_buckets_that_become_one_the_most_and_the_latest_are_kept() -> None:
    timeline = Timeline()
    for second, (in_flight, limit) in enumerate([(5, 10.0), (3, 20.0), (4, None)]):
        bucket = timeline.at(float(second))
        bucket.in_flight, bucket.limit = in_flight, limit
    timeline.at(240.0)
    assert [(bucket.in_flight, bucket.limit) for bucket in timeline.buckets[:3]] == [
        (5, 20.0),
        (4, None),
        (0, None),
    ]
    assert (timeline.width, len(timeline.buckets)) == (2.0, 121)


def test_the_limit_goes_on_through_buckets_in_which_nothing_was_seen() -> None:
    timeline = Timeline()
    timeline.at(0.0).limit = 60.0
    timeline.at(3.0)
    assert [bucket.limit for bucket in timeline.buckets] == [60.0] * 4


async def test_nothing_has_begun_before_the_first_upload() -> None:
    throttle = Throttle(requests_per_minute=60)
    throttle.gate("http://127.0.0.1/v1", "")  # that of listings
    assert throttle_state(throttle) == ThrottleState()


async def test_the_gates_of_all_models_are_taken_together() -> None:
    throttle = Throttle(requests_per_minute=60, tokens_per_minute=1000)
    for model in ("a", "b"):
        throttle.gate("http://127.0.0.1/v1", model).try_enter(10.0, retry=False)
    assert throttle_state(throttle) == ThrottleState(begun=True, in_flight=2, limit=120.0, tokens=2000.0)


async def test_limits_are_those_of_a_minute() -> None:
    throttle = Throttle(requests_per_minute=10, window=6.0)
    throttle.gate("http://127.0.0.1/v1", "a")
    assert throttle_state(throttle).limit == 100.0


async def test_what_is_not_known_is_none() -> None:
    throttle = Throttle()
    throttle.gate("http://127.0.0.1/v1", "a")
    assert (throttle_state(throttle).limit, throttle_state(throttle).tokens) == (None, None)


async def test_a_gate_before_which_somebody_waits_for_quota_is_closed() -> None:
    throttle = Throttle(requests_per_minute=1)
    gate = throttle.gate("http://127.0.0.1/v1", "a")
    admission = gate.try_enter(1.0, retry=False)
    assert admission is not None
    gate.leave(admission, Verdict.ACCEPTED)
    assert not throttle_state(throttle).closed
    waiting = asyncio.create_task(gate.enter(gate.turn(), 1.0, retry=False))
    await asyncio.sleep(0)
    state = throttle_state(throttle)
    waiting.cancel()
    assert (state.waiting, state.closed) == (1, True)
    assert state.opens_in == pytest.approx(60, abs=5)
