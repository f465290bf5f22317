from __future__ import annotations

import asyncio
from collections.abc import Iterable

from attrs import define, field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from support.gates import gate_of
from support.virtual_time import VirtualTimeLoop

from siliconflow_voice import Throttle
from siliconflow_voice.throttle.gate import Gate
from siliconflow_voice.throttle.limiter import Verdict

REFUSALS = [Verdict.REQUESTS_REFUSED, Verdict.TOKENS_REFUSED, Verdict.OVERLOADED, Verdict.NEITHER]


@frozen
class Attempt:
    """What becomes of it, when, and how long its call waits afterwards."""

    verdict: Verdict
    latency: float
    retry_after: float | None
    backoff: float


@frozen
class Call:
    """When it comes, what becomes of it, and when it is cancelled."""

    comes_at: float
    tokens: float
    refused: list[Attempt]
    latency: float
    cancelled_at: float | None


latencies = st.one_of(st.just(0.0), st.floats(0.01, 5), st.floats(5, 200))
calls = st.lists(
    st.builds(
        Call,
        comes_at=st.one_of(st.just(0.0), st.floats(0, 300)),
        tokens=st.integers(1, 50).map(float),
        refused=st.lists(
            st.builds(
                Attempt,
                verdict=st.sampled_from(REFUSALS),
                latency=latencies,
                retry_after=st.one_of(st.none(), st.floats(0, 200)),
                backoff=st.floats(0, 10),
            ),
            max_size=4,
        ),
        latency=latencies,
        cancelled_at=st.one_of(st.none(), st.none(), st.floats(0, 600)),
    ),
    max_size=25,
)


@define
class Schedule:
    """Plays calls on a gate."""

    gate: Gate
    capacity: int
    sent: list[tuple[float, float]] = field(factory=list[tuple[float, float]])
    """When each request went, and its tokens."""
    done: list[Call] = field(factory=list[Call])
    cancelled: list[Call] = field(factory=list[Call])

    async def play(self, calls: Iterable[Call]) -> None:
        loop = asyncio.get_running_loop()
        tasks = []
        for call in calls:
            task = asyncio.create_task(self._make(call))
            tasks.append(task)
            if call.cancelled_at is not None:
                loop.call_at(call.cancelled_at, task.cancel)
        await asyncio.gather(*tasks, return_exceptions=True)
        for call, task in zip(calls, tasks, strict=True):
            (self.cancelled if task.cancelled() else self.done).append(call)
            if not task.cancelled():
                task.result()

    async def _make(self, call: Call) -> None:
        await asyncio.sleep(call.comes_at)
        turn, last = self.gate.turn(), None
        for attempt in (*call.refused, Attempt(Verdict.ACCEPTED, call.latency, None, 0)):
            await self._send(turn, call.tokens, attempt, retry=last is Verdict.OVERLOADED)
            last = attempt.verdict
            await asyncio.sleep(attempt.backoff)

    async def _send(self, turn: int, tokens: float, attempt: Attempt, *, retry: bool) -> None:
        admission = await self.gate.enter(turn, tokens, retry=retry)
        self.sent.append((asyncio.get_running_loop().time(), tokens))
        verdict = Verdict.NEITHER
        try:
            assert 1 <= self.gate.in_flight <= self.capacity
            await asyncio.sleep(attempt.latency)
            verdict = attempt.verdict
        finally:
            self.gate.leave(admission, verdict, retry_after=attempt.retry_after)


def play(throttle: Throttle, calls: list[Call]) -> Schedule:
    schedule = Schedule(gate_of(throttle), throttle.max_concurrency)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(schedule.play(calls))
    return schedule


def most_within_a_minute(sent: list[tuple[float, float]]) -> float:
    return max((sum(cost for at, cost in sent if start <= at < start + 60) for start, _ in sent), default=0.0)


@settings(deadline=None)
@given(calls, st.integers(1, 6))
def test_everyone_who_is_not_cancelled_gets_through(calls: list[Call], capacity: int) -> None:
    schedule = play(Throttle(max_concurrency=capacity), calls)
    assert all(call.cancelled_at is not None for call in schedule.cancelled)
    assert len(schedule.done) + len(schedule.cancelled) == len(calls)


@settings(deadline=None)
@given(calls, st.integers(1, 6))
def test_nobody_is_left_behind(calls: list[Call], capacity: int) -> None:
    gate = play(Throttle(max_concurrency=capacity), calls).gate
    assert (gate.in_flight, gate.waiting, gate._timer) == (0, 0, None)
    assert (gate.limiter.requests.traffic.in_flight, gate.limiter.tokens.traffic.in_flight) == (0, 0)


@settings(deadline=None)
@given(calls, st.integers(1, 6), st.integers(1, 20), st.integers(50, 200))
def test_what_was_declared_is_never_exceeded(
    calls: list[Call], capacity: int, requests: int, tokens: int
) -> None:
    throttle = Throttle(max_concurrency=capacity, requests_per_minute=requests, tokens_per_minute=tokens)
    schedule = play(throttle, calls)
    assert most_within_a_minute([(at, 1.0) for at, _ in schedule.sent]) <= requests
    assert most_within_a_minute(schedule.sent) <= tokens
    assert len(schedule.done) + len(schedule.cancelled) == len(calls)
