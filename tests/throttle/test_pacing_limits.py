from __future__ import annotations

import asyncio
import heapq
import itertools
import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.driving import Driver
from support.virtual_time import VirtualTimeLoop

from siliconflow_voice import Throttle
from siliconflow_voice.emulator.quotas import Quota, QuotaMeter
from siliconflow_voice.throttle.limiter import Verdict
from siliconflow_voice.throttle.pacing import Pace
from siliconflow_voice.throttle.traffic import Permit

# What each request costs, the seconds to its answer, and what that is.
Request = tuple[float, float, bool | None]
requests = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 20).map(float), st.floats(0.01, 20)),
        st.one_of(st.floats(0, 3), st.floats(0, 200)),
        st.sampled_from([True, True, False, None]),
    ),
    max_size=60,
)


def send_all(pace: Pace, requests: list[Request], *, idle: float = 0.0) -> list[tuple[float, float]]:
    """Send each as soon as it may go; give when they went, and their costs."""
    now, numbers = 0.0, itertools.count()
    under_way: list[tuple[float, int, Permit, bool | None]] = []
    sent: list[tuple[float, float]] = []
    for number, (cost, latency, accepted) in enumerate(requests):
        now += idle if number % 7 == 6 else 0.0
        while (at := pace.ready_at(now, cost)) != now:
            assert at is not None or under_way, "a deadlock"
            if under_way and (at is None or under_way[0][0] <= at):
                answered_at, _, let, verdict = heapq.heappop(under_way)
                now = max(now, answered_at)
                pace.answered(now, let, accepted=verdict)
            else:
                assert at is not None
                assert now < at
                now = at
        sent.append((now, cost))
        heapq.heappush(under_way, (now + latency, next(numbers), pace.admit(now, cost), accepted))
    return sent


def most_within(window: float, sent: list[tuple[float, float]]) -> float:
    """The highest sum of costs within any span of that many seconds."""
    return max(
        (sum(cost for at, cost in sent if start <= at < start + window) for start, _ in sent), default=0.0
    )


@given(requests, st.integers(20, 100), st.floats(0, 100))
@example([(20.0, 0.0, True)] * 7, 20, 0.0)
@example([(0, 0, True), (0, 0, True), (11, 0, False), (0, 0, True), (10, 0, False), (0, 0, True)], 20, 0.0)
def test_a_declared_limit_is_never_exceeded(requests: list[Request], declared: int, idle: float) -> None:
    sent = send_all(Pace(60, declared), requests, idle=idle)
    assert len(sent) == len(requests)
    assert most_within(60, sent) <= declared + 1e-6


@given(requests, st.floats(0, 1000))
def test_whatever_is_learned_all_get_through(requests: list[Request], idle: float) -> None:
    assert len(send_all(Pace(60), requests, idle=idle)) == len(requests)


@given(st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=60), st.sampled_from([0.125, 0.5, 4]))
def test_a_scaled_window_changes_the_unit_alone(requests: list[tuple[int, bool]], scale: float) -> None:
    at_once: list[Request] = [(cost, 0.0, accepted) for cost, accepted in requests]
    whole, scaled = send_all(Pace(60), at_once), send_all(Pace(60 * scale), at_once)
    assert [at / scale for at, _ in scaled] == pytest.approx([at for at, _ in whole], abs=1e-6)


def test_a_declared_limit_is_known_from_the_first() -> None:
    assert Pace(60, 40).limit == 40


def test_a_declared_limit_is_used_up_and_waited_for() -> None:
    driver = Driver(Pace(60, 5))
    driver.try_all(*[True] * 5)
    assert driver.now == 0
    driver.try_one(accepted=True)
    assert driver.now == pytest.approx(60, abs=0.51)


def test_refusals_and_what_came_to_nothing_count_against_a_declared_limit() -> None:
    driver = Driver(Pace(60, 3))
    driver.try_one(accepted=None)
    driver.try_one(accepted=True)
    driver.try_one(accepted=False)
    assert driver.wait() > 59


def test_a_limit_that_was_declared_too_high_is_learned_all_the_same() -> None:
    driver = Driver(Pace(60, 1000))
    driver.try_all(*[True] * 10, False)
    assert driver.pace.limit == 10


def test_a_limit_that_was_declared_too_low_stays() -> None:
    driver = Driver(Pace(60, 5))
    driver.try_all(*[True] * 20, False, *[True] * 20)
    assert driver.pace.limit == 5


def test_what_would_exceed_a_declared_limit_waits_for_what_is_under_way() -> None:
    driver = Driver(Pace(60, 2))
    first, _ = driver.send(), driver.send()
    driver.now = 200
    assert driver.ready() is None
    driver.answer(first, accepted=True)
    assert driver.ready() == 200  # it was sent more than a window ago


def uploads(quota: Quota, count: int, *, coroutines: int = 16) -> tuple[int, float]:
    """Send so many through a gate to a service with a quota; give how many were refused, and the seconds."""
    chance = random.Random(0)  # noqa: S311 - is to be repeatable, not secret
    meter, numbers, refused = QuotaMeter(quota), iter(range(count)), 0

    async def upload() -> None:
        nonlocal refused
        loop = asyncio.get_running_loop()
        for _ in numbers:
            turn, verdict = gate.turn(), None
            while verdict is not Verdict.ACCEPTED:
                admission = await gate.enter(turn, 12, retry=False)
                await asyncio.sleep(chance.uniform(0.2, 0.5))
                verdict = (
                    Verdict.ACCEPTED if meter.take(loop.time(), 12) is None else Verdict.REQUESTS_REFUSED
                )
                await asyncio.sleep(chance.uniform(0.2, 0.5))
                gate.leave(admission, verdict)
                refused += verdict is not Verdict.ACCEPTED

    async def all_of_them() -> float:
        async with asyncio.TaskGroup() as group:
            for _ in range(coroutines):
                group.create_task(upload())
        return asyncio.get_running_loop().time()

    gate = Throttle().gate("http://localhost", "model")
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return refused, runner.run(all_of_them())


@pytest.mark.parametrize("coroutines", [1, 16, 64])
@pytest.mark.parametrize("kind", ["fixed", "sliding", "bucket"])
def test_whatever_way_the_service_counts_few_are_refused_and_little_time_is_lost(
    kind: str, coroutines: int
) -> None:
    quota = Quota(requests=60, kind=kind)  # type: ignore[arg-type] # on purpose
    refused, seconds = uploads(quota, 400, coroutines=coroutines)
    assert refused <= 40
    assert seconds <= 400 * 1.15
